"""A generator of a run as records tell of it."""

from cytobench.benchmarks.spec import GeneratorSpec
from cytobench.datasets.imageset import Nature
from cytobench.leaderboards.record import Cost, Generator


def made_by(generator: GeneratorSpec, learned: Nature) -> Generator:
    """Return what drew a synthetic set.

    Args:
        generator: As the run has it.
        learned: What the images are that it learned from.
    """
    cost = Cost(
        seconds=generator.seconds,
        fits=generator.fits,
        training_flops=generator.training_flops,
        image_flops=generator.image_flops,
    )
    return Generator(
        name=generator.name,
        base=generator.base,
        varied=generator.varied,
        config=generator.config,
        trained_on=generator.trained_on,
        nature_of_training=learned,
        cost=cost if generator.seconds else None,
    )
