"""What the drivers of all Python clients share: cases in, one JSON line a case out.

The one argument is a file with a JSON list of cases: {"id", "do", "model", and optionally "door", "key", "prompt", "stream", "base"}. A driver offers a
function for each thing that can be done. Each line says {"id", "ok": true, ...what was seen}, or {"id", "ok": false,
"error": {...}} when the client raised an exception of its own. It judges nothing: the test that runs it does. Anything else
that goes wrong is told with its traceback as an error of class `Broken`, so that one case does not hide the others.

BASE_URL is the gateway's address without a path; API_KEY the caller's key.
"""

import json
import os
import sys
import traceback

BASE_URL = os.environ["BASE_URL"]
API_KEY = os.environ["API_KEY"]
SYSTEM = "Be brief."
CITIES = ["Paris", "Oslo"]
DEGREES = {"Paris": "21 degrees", "Oslo": "7 degrees"}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"name": "get_weather", "description": "Weather of a city.", "schema": SCHEMA}


def base_of(case):
    """The gateway, or whom the case names: a vendor itself, to see that it is spoken to alike without a gateway."""
    return case.get("base", BASE_URL)


def key_of(case):
    return case.get("key", API_KEY)


def prompt_of(case):
    return case.get("prompt", "What is the weather in Paris and in Oslo?")


def error_of(error):
    """The parts of an exception that SDKs agree on, wherever each keeps them."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or {}
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return {
        "class": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__],
        "status": status if isinstance(status, int) else None,
        "message": str(error),
        "body": str(getattr(error, "body", None) or getattr(error, "details", None)),
        "retry_after": headers.get("retry-after") if hasattr(headers, "get") else None,
    }


def main(things, errors):
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    for case in cases:
        try:
            seen = {"ok": True, **things[case["do"]](case)}
        except errors as error:
            seen = {"ok": False, "error": error_of(error)}
        except Exception as error:
            trace = traceback.format_exc()[-3000:]
            seen = {"ok": False, "error": {"class": "Broken", "message": f"{error!r}", "trace": trace}}
        print(json.dumps({"id": case["id"], **seen}), flush=True)
    # Clients leave threads and loops behind that would keep the interpreter waiting.
    sys.stdout.flush()
    os._exit(0)
