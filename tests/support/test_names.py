from __future__ import annotations

import keyword

from hypothesis import given
from hypothesis import strategies as st

from tensorc.support.names import fresh, identifier


@given(st.text())
def test_any_text_becomes_an_identifier(text: str) -> None:
    name = identifier(text)
    assert name.isidentifier()
    assert name.isascii()
    assert not keyword.iskeyword(name)


def test_reserved_words_get_a_tail() -> None:
    assert identifier("float", reserved={"float"}) == "float_"
    assert identifier("float") == "float"


def test_fresh_keeps_a_free_name() -> None:
    assert fresh("i", ()) == "i"
    assert fresh("i", {"i", "i_1", "i_3"}) == "i_2"
