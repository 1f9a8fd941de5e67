"""Steps that say PASS or FAIL, each by its function's name."""

import sys

steps = []


def step(function):
    steps.append(function)
    return function


def same(is_, wanted, what):
    assert is_ == wanted, f"{what}: expected {wanted!r}, got {is_!r}"


def run():
    """Runs the steps in their order. Ends the program: 1 if one failed or there was none."""
    failed = 0
    for function in steps:
        try:
            function()
            print(f"PASS  {function.__name__}")
        except Exception as error:  # whatever goes wrong in a step is that step's failure
            failed += 1
            print(f"FAIL  {function.__name__}: {type(error).__name__}: {error}")
    print(f"{len(steps) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not steps else 0)
