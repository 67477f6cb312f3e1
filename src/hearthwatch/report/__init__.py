"""Events for people and programs: the annotated picture, the page, the terminal, the JSON object."""

from hearthwatch.report.annotate import annotate
from hearthwatch.report.html import render_html
from hearthwatch.report.json import event_to_json, report_to_json
from hearthwatch.report.pictures import encode_jpeg
from hearthwatch.report.terminal import print_event
from hearthwatch.report.write import ReportPaths, write_reports

__all__ = [
    "ReportPaths",
    "annotate",
    "encode_jpeg",
    "event_to_json",
    "print_event",
    "render_html",
    "report_to_json",
    "write_reports",
]
