"""Reads a JUnit report with junitparser, and prints as JSON what the file says of itself and what is counted in it."""

import json
import sys

from junitparser import JUnitXml

FIGURES = ("tests", "failures", "errors", "skipped", "time")


def figures(node):
    return {name: getattr(node, name) for name in FIGURES}


def of_case(case):
    results = [
        {"kind": type(result).__name__, "type": result.type, "message": result.message, "text": result.text}
        for result in case.result
    ]
    return {
        "name": case.name,
        "classname": case.classname,
        "time": case.time,
        "results": results,
        "out": case.system_out,
    }


def of_suite(suite):
    declared = figures(suite)
    suite.update_statistics()
    return {
        "name": suite.name,
        "timestamp": suite.timestamp,
        "declared": declared,
        "counted": figures(suite),
        "properties": {one.name: one.value for one in suite.properties()},
        "cases": [of_case(case) for case in suite],
    }


report = JUnitXml.fromfile(sys.argv[1])
declared = figures(report)
suites = [of_suite(suite) for suite in report]
report.update_statistics()
json.dump({"declared": declared, "counted": figures(report), "suites": suites}, sys.stdout)
