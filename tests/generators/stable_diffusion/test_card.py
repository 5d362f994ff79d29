"""What the model card of an adapter tells."""

from cytobench.generators.stable_diffusion.card import Facts, written

BASE = {
    "name": "lab/base",
    "revision": "abc",
    "sha256": "0" * 64,
    "origin": "web-scale, unknown",
    "licence": "openrail++",
}


def test_the_card_names_base_licence_prompts_and_every_shot() -> None:
    shots = {"a": ["1" * 64, "2" * 64], "b": ["3" * 64]}
    text = written(
        Facts(BASE, {"a": "a cell", "b": "another"}, shots, steps=600, rank=16, guidance=2.0, evaluations=20, leak=True)
    )
    assert text.startswith("---\nbase_model: lab/base\n")
    for told in (
        "lab/base, revision `abc`",
        "web-scale, unknown",
        "openrail++",
        "600 steps",
        "on 3 images",
        "| a cell |",
    ):
        assert told in text
    assert all(one in text for those in shots.values() for one in those)


def test_a_hostile_name_stays_in_its_cell() -> None:
    text = written(Facts(BASE, {"<script>|\n# x": "p"}, {}, steps=1, rank=1, guidance=1.0, evaluations=1, leak=False))
    assert "| &lt;script>\\| # x | p |" in text
