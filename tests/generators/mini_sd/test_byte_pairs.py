"""Byte pairs: learnt as by hand, and every byte has a token."""

from cytobench.generators.mini_sd import byte_pairs


def test_the_most_frequent_pair_is_joined_first() -> None:
    words = ["low"] * 5 + ["lower"] * 2 + ["new"] * 6
    assert byte_pairs.learn(words, most=3) == [("l", "o"), ("e", "w</w>"), ("n", "ew</w>")]


def test_learning_stops_when_every_word_is_one_token() -> None:
    merges = byte_pairs.learn(["ab", "cd"], most=100)
    assert merges == [("a", "b</w>"), ("c", "d</w>")]


def test_every_byte_can_be_written_inside_and_at_the_end_of_a_word() -> None:
    numbers = byte_pairs.vocabulary([])
    assert len(byte_pairs.alphabet()) == 256
    assert list(numbers.values()) == list(range(514))
    assert numbers["!"] == 0
    assert numbers[byte_pairs.END] == 513
