"""The table names the functions of the language and is consistent with itself."""

from streamproc.eql.signatures import SIGNATURES

CASE_AWARE = {"between", "endsWith", "indexOf", "startsWith", "stringContains"}
ARITHMETIC = {"add", "subtract", "multiply", "divide", "modulo"}
OTHERS = {"cidrMatch", "concat", "length", "number", "string", "substring"}


def test_functions_of_the_language() -> None:
    """Exactly the functions that Elasticsearch documents for EQL."""
    names = {signature.name for signature in SIGNATURES.values()}
    assert names == CASE_AWARE | ARITHMETIC | OTHERS


def test_keys_are_lower_case_names() -> None:
    assert all(key == signature.name.lower() for key, signature in SIGNATURES.items())


def test_case_aware_functions() -> None:
    """Only these have a case-insensitive form."""
    with_tilde = {signature.name for signature in SIGNATURES.values() if signature.takes_tilde}
    assert with_tilde == CASE_AWARE


def test_argument_ranges() -> None:
    for signature in SIGNATURES.values():
        assert signature.min_args >= 1
        assert signature.max_args is None or signature.max_args >= signature.min_args
