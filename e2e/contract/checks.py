"""What every answer to a generated request must be: no failure of the server, and as the document describes it.

Loaded by schemathesis (SCHEMATHESIS_HOOKS). Its own checks of bodies want one wherever one is described; an insert
without `Prefer: return=representation` has none, so they are asked only about answers that have one.
"""

import atexit
import collections
import json
import math

import schemathesis
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


def is_beyond_floats(text):
    """A number that PostgreSQL has and Python's floats have not: the validator would take it for infinity."""
    found = False

    def parse(digits):
        nonlocal found
        value = float(digits)
        found = found or math.isinf(value)
        return value

    try:
        json.loads(text, parse_float=parse)
    except ValueError:
        return False
    return found


@schemathesis.check
def answers_as_described(ctx, response, case):
    described = case.operation.definition.raw["responses"]
    status = str(response.status_code)
    # `default` stands for statuses that functions of the database choose; none here does.
    assert status in described, f"{status} is not among the statuses that are described: {response.text[:500]}"
    response_headers_conformance(ctx, response, case)
    if not response.content:
        assert response.status_code < 300 or status == "304", f"{status} without a body"
        return
    content_type_conformance(ctx, response, case)
    if "json" in response.headers.get("content-type", [""])[0] and not is_beyond_floats(response.text):
        response_schema_conformance(ctx, response, case)


@schemathesis.hook
def map_query(context, query):
    """Nobody can make a cursor, so a request that has one is refused. Most go without, to get further."""
    if query and len(query.get("cursor", "")) % 8:
        query.pop("cursor")
    return query


answers = collections.Counter()


@schemathesis.hook
def after_call(context, case, response):
    answers[response.status_code] += 1


@atexit.register
def say_answers():
    """So that a document under which every request is refused is seen."""
    told = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
    print(f"answers: {told}", flush=True)
