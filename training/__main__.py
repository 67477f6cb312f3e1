"""`python -m training NETWORK...|all`: train the sample networks; `python -m training scene`: draw scenes;
`python -m training mistakes`: plant mistakes and measure them; `python -m training prompts`: compare ways to ask CLIP.

docs/sample-weights.md says what they are for.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from training.floors import FLOORS
from training.zoo import RECIPES, SAMPLE, Outcome, Zoo, ZooError, cores, find_recipe

ALL, SCENE, MISTAKES, PROMPTS = "all", "scene", "mistakes", "prompts"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 where every network asked for is in its place; 1 where one is not; 130 after Ctrl-C."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == [SCENE]:
        draw: Callable[[Sequence[str]], int] = importlib.import_module("training.scenes.command").main
        return draw(given[1:])
    if given == [MISTAKES]:
        planted = importlib.import_module("training.planted")
        sys.stdout.write(planted.table(importlib.import_module("training.held_out").MEASURES, SAMPLE))
        return 0
    if given == [PROMPTS]:
        zero_shot = importlib.import_module("training.zero_shot")
        sys.stdout.write(zero_shot.table(SAMPLE / "clip.onnx", zero_shot.held_out()))
        return 0
    asked = _parser().parse_args(given)
    zoo = Zoo(find_recipe, FLOORS, threads=asked.threads)
    if asked.only_evaluate:
        return each(zoo, names(asked.networks), lambda name: zoo.measure(name, accept=asked.accept))
    if asked.fresh:
        zoo.forget_shared(names(asked.networks))
    return each(zoo, names(asked.networks), lambda name: zoo.make(name, minutes=asked.minutes, fresh=asked.fresh))


def names(asked: Sequence[str]) -> list[str]:
    """Those asked for, in the order of the zoo."""
    return [name for name in RECIPES if ALL in asked or name in asked]


def each(zoo: Zoo, wanted: Sequence[str], work: Callable[[str], Outcome]) -> int:
    """One network after the other; one that fails does not keep the others from their turn."""
    failed = []
    for name in wanted:
        try:
            outcome = work(name)
        except KeyboardInterrupt:
            zoo.progress.say(f"{name}: stopped. The same command goes on from here.")
            return 130
        except Exception as error:  # noqa: BLE001 - the others still have their turn, and the exit code tells
            failed.append(name)
            reason = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
            zoo.progress.say(f"{name}: failed. {reason}")
        else:
            figures = ", ".join(
                f"{measure.replace('_', ' ')} {value:.3f}" for measure, value in outcome.figures.items()
            )
            zoo.progress.say(f"{name}: {outcome.ending}. {figures}")
    if failed:
        zoo.progress.say(f"{len(failed)} of {len(wanted)} failed: {', '.join(failed)}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train the sample networks on drawn scenes, from scratch. Those that are there and unchanged stay.",
        epilog=f"`python -m training {SCENE} --help` draws a scene; `python -m training {MISTAKES}` shows what planted "
        f"mistakes of preprocessing and decoding cost each network; `python -m training {PROMPTS}` compares one "
        "prompt, each template, and all of them averaged, as the CLIP pair is asked.",
    )
    parser.add_argument(
        "networks", nargs="+", choices=[*RECIPES, ALL], metavar="NETWORK", help=", ".join([ALL, *RECIPES])
    )
    parser.add_argument("--minutes", type=_minutes, help="train each for so long instead of its number of steps")
    parser.add_argument(
        "--threads",
        type=_threads,
        default=cores(),
        help="processor cores to use, all unless told; fewer on a busy machine",
    )
    parser.add_argument("--fresh", action="store_true", help="from the beginning, whatever is there")
    parser.add_argument("--only-evaluate", action="store_true", help="measure what is in its place")
    parser.add_argument(
        "--accept", action="store_true", help="with --only-evaluate: it counts as what the changed recipe makes"
    )
    return parser


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0 < minutes <= 24 * 60:
        raise argparse.ArgumentTypeError("minutes must be above 0 and at most a day")
    return minutes


def _threads(text: str) -> int:
    threads = int(text)
    if threads < 1:
        raise argparse.ArgumentTypeError("at least one thread is needed")
    return threads


if __name__ == "__main__":
    sys.exit(main())
