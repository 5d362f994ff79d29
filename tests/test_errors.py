from cytobench.errors import DataFault, shown


def test_a_message_is_short_and_speaks_to_no_terminal() -> None:
    fault = DataFault("a\x1b]0;owned\x07b", problems=["x" * 10_000_000], fix="\u202e")
    assert len(str(fault)) < 2000
    assert "\\x1b]0;owned\\x07" in str(fault)
    assert "To do: \\u202e" in str(fault)


def test_letters_of_every_script_and_line_ends_stay() -> None:
    assert shown("é 血\n🩸 \u200d") == "é 血\n🩸 \u200d"
