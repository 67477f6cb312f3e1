"""What a person may wear and carry: the prompts, word for word as documented, and what each of them says.

A prompt is a sentence for a network; the table beside it says the same in the words of an answer. A new prompt is a row
in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: The group that the others are compared with.
CASUAL = "casual"
SUSPICIOUS, DELIVERY, UTILITY, CARRYING = "suspicious", "delivery", "utility", "carrying"

ENHANCED_CLOTHING_PROMPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        SUSPICIOUS: (
            "person wearing black hoodie with hood up",
            "person wearing dark hoodie covering face",
            "person in ski mask or balaclava",
            "person wearing face covering at night",
            "person in all black clothing",
            "person with face obscured by hat and sunglasses",
            "person wearing gloves in warm weather",
        ),
        DELIVERY: (
            "Amazon delivery driver in blue vest",
            "FedEx courier in purple uniform",
            "UPS driver in brown uniform",
            "USPS mail carrier in blue uniform",
            "DoorDash delivery person with red bag",
            "food delivery courier with insulated bag",
        ),
        UTILITY: (
            "utility worker in orange high-visibility vest",
            "construction worker in yellow safety vest",
            "electrician in work clothes with tool belt",
            "cable technician in company uniform",
            "landscaper in work clothes",
        ),
        CARRYING: (
            "person carrying a large box or package",
            "person with a backpack",
            "person carrying a duffel bag",
            "person holding tools",
            "person carrying nothing",
            "person with hands in pockets",
        ),
        CASUAL: (
            "person in casual everyday clothes",
            "person in business casual attire",
            "person in athletic or exercise clothing",
            "person dressed for outdoor activities",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Attire:
    """What a prompt about clothes says.

    Attributes:
        clothing_type: hoodie, vest, uniform …
        style: of the whole.
    """

    clothing_type: str
    style: str


#: By prompt of every group but `CARRYING`.
ATTIRE: Mapping[str, Attire] = MappingProxyType(
    {
        "person wearing black hoodie with hood up": Attire("hoodie", "concealing"),
        "person wearing dark hoodie covering face": Attire("hoodie", "concealing"),
        "person in ski mask or balaclava": Attire("mask", "concealing"),
        "person wearing face covering at night": Attire("face covering", "concealing"),
        "person in all black clothing": Attire("black clothing", "dark"),
        "person with face obscured by hat and sunglasses": Attire("hat and sunglasses", "concealing"),
        "person wearing gloves in warm weather": Attire("gloves", "unseasonable"),
        "Amazon delivery driver in blue vest": Attire("vest", "delivery"),
        "FedEx courier in purple uniform": Attire("uniform", "delivery"),
        "UPS driver in brown uniform": Attire("uniform", "delivery"),
        "USPS mail carrier in blue uniform": Attire("uniform", "delivery"),
        "DoorDash delivery person with red bag": Attire("delivery clothes", "delivery"),
        "food delivery courier with insulated bag": Attire("delivery clothes", "delivery"),
        "utility worker in orange high-visibility vest": Attire("high-visibility vest", "work"),
        "construction worker in yellow safety vest": Attire("safety vest", "work"),
        "electrician in work clothes with tool belt": Attire("work clothes", "work"),
        "cable technician in company uniform": Attire("uniform", "work"),
        "landscaper in work clothes": Attire("work clothes", "work"),
        "person in casual everyday clothes": Attire("everyday clothes", "casual"),
        "person in business casual attire": Attire("business clothes", "business"),
        "person in athletic or exercise clothing": Attire("athletic clothes", "athletic"),
        "person dressed for outdoor activities": Attire("outdoor clothes", "outdoor"),
    }
)
#: What is carried, by prompt of `CARRYING`; the other two say that nothing is.
CARRIED: Mapping[str, str] = MappingProxyType(
    {
        "person carrying a large box or package": "large box or package",
        "person with a backpack": "backpack",
        "person carrying a duffel bag": "duffel bag",
        "person holding tools": "tools",
    }
)
