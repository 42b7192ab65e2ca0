"""EQL: parse, compile and search. Knows nothing of rules, Kafka or alerts."""

from streamproc.eql.errors import EqlSyntaxError
from streamproc.eql.event import Event
from streamproc.eql.explain import Explanation
from streamproc.eql.parser import parse_query
from streamproc.eql.query import CompiledQuery, compile_query

__all__ = [
    "CompiledQuery",
    "EqlSyntaxError",
    "Event",
    "Explanation",
    "compile_query",
    "parse_query",
]
