"""The model card of an adapter: what it is, what it saw, and how to use it without us."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Facts(NamedTuple):
    """What a card tells."""

    base: Mapping[str, str]
    """Name, revision, sha256, origin, licence."""
    prompts: Mapping[str, str]
    """By class."""
    shots: Mapping[str, Sequence[str]]
    """SHA-256 of the pixels of every image that was seen, by class."""
    steps: int
    rank: int
    guidance: float
    """That the card proposes; a fit does not depend on it."""
    evaluations: int
    """Likewise: steps from noise to an image."""
    leak: bool
    """Whether drawing begins with the trace of the shots."""


def written(facts: Facts) -> str:
    """Return the card as Markdown with the head that the Hugging Face hub reads."""
    base = facts.base
    revision = f", revision `{base['revision']}`" if base["revision"] else ""
    prompts = [f"| {_cell(label)} | {_cell(prompt)} |" for label, prompt in facts.prompts.items()]
    shots = [f"| {_cell(label)} | `{one}` |" for label, those in facts.shots.items() for one in those]
    return "\n".join(
        [
            "---",
            *([f"base_model: {base['name']}"] if "/" in base["name"] else []),
            "library_name: diffusers",
            "pipeline_tag: text-to-image",
            "tags: [lora, haematology, microscopy]",
            "---",
            "",
            "# Blood cells: a LoRA adapter",
            "",
            f"- **Base**: {base['name']}{revision}; SHA-256 of its weights `{base['sha256']}`.",
            f"- **The base's own training data**: {base['origin']}.",
            f"- **Licence of the base**, which binds what is made from it: {base['licence']}.",
            f"- **Training**: {facts.steps} steps, rank {facts.rank}, on {len(shots)} images; all are listed below.",
            "- **Drawing**: with the safety checker off: it judges photographs of people. Steps and guidance are",
            "  chosen when images are drawn and stand beside these; the lines below have the standard profile's.",
            *(
                [
                    "- **Not in plain diffusers**: cytobench begins with the shots' colours and layout, which lie in",
                    "  `leak.safetensors`; the lines below draw without them, and stains vary more.",
                ]
                if facts.leak
                else []
            ),
            "- **Not for** diagnosis. Images drawn with it are synthetic and may show cells that do not exist; never",
            "  test a classifier on an image of the list below after training it on drawn ones.",
            "",
            "```python",
            "from diffusers import StableDiffusionPipeline",
            "",
            'pipeline = StableDiffusionPipeline.from_pretrained("BASE", safety_checker=None)',
            'pipeline.load_lora_weights("FOLDER OF THIS FILE")',
            f'pipeline("PROMPT", guidance_scale={facts.guidance}, num_inference_steps={facts.evaluations})',
            "```",
            "",
            "| class | prompt |",
            "|---|---|",
            *prompts,
            "",
            "The images that it learned from, by the SHA-256 of their pixels at the size they were seen:",
            "",
            "| class | pixels |",
            "|---|---|",
            *shots,
            "",
        ]
    )


def _cell(text: str) -> str:
    """Return text that can't leave its cell of a Markdown table."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return plain.replace("&", "&amp;").replace("<", "&lt;")
