"""The two sites at which phantom smears are stained and photographed."""

from dataclasses import dataclass

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Site:
    """How one laboratory stains and photographs; lengths are in µm on the slide.

    A *spread* is the standard deviation of the logarithm of a factor, so 0.1 means about 10 %.
    """

    name: str
    """Part of every seed: two sites never draw the same scene."""

    field: float
    """Side of the square photographed, µm."""
    images_per_patient: int
    """Images k of a class that share a patient: patient = k // images_per_patient."""

    haem: float
    """Strength of the red cells' colour, relative to a standard May-Grünwald-Giemsa stain (1)."""
    red_blue: float
    """Blue dye in the thickest part of a red cell (more where the buffer is too alkaline), in units of that dye."""
    eosin: float
    """Strength of eosin (pink to orange), relative to the standard."""
    purple: float
    """Strength of the azure-B–eosin complex (the purple of chromatin), relative to the standard."""
    blue: float
    """Strength of methylene blue and free azures, relative to the standard."""
    stain_spread_patient: float
    """Spread of each dye's strength between patients."""
    stain_spread_image: float
    """Spread of each dye's strength between images of a patient."""

    light: RGB
    """Colour of the empty slide as the camera records it, 0 to 1."""
    light_spread_patient: float
    """Spread of each colour of the light between patients (white balance)."""
    light_spread_image: float
    """Spread of the light's brightness between images."""
    gradient: float
    """Standard deviation of the relative change of light from one edge of the field to the other."""
    vignette: float
    """Relative loss of light in the corners."""
    glare: float
    """Share of stray light that lifts the darks, 0 to 1."""

    blur: float
    """Standard deviation of the point spread function in focus, µm."""
    defocus: float
    """Spread of that standard deviation between images."""
    fringe: float
    """Chromatic magnification error: red grows and blue shrinks by this share."""
    sharpening: float
    """Weight of the camera's unsharp mask."""
    photons: float
    """Photons per µm² and colour on a white slide; sets the shot noise."""
    chroma_noise: float
    """Standard deviation of coloured blotches about 1.5 µm wide, 0 to 1."""

    cell_scale: float
    """White cells' diameter relative to the textbook's (films dry thicker or thinner)."""
    red_density: float
    """Red cells per µm²."""
    red_spread_patient: float
    """Spread of that density between patients."""
    pallor: float
    """Mean central pallor of red cells: 0 flat discs, 1 as in suspension, above 1 paler still (less haemoglobin)."""


SITES: dict[str, Site] = {
    site.name: site
    for site in (
        # An automated slide scanner: cream background, blue-violet nuclei, crisp, little noise.
        Site(
            name="a",
            field=24.0,
            images_per_patient=5,
            haem=1.0,
            red_blue=0.03,
            eosin=1.0,
            purple=1.0,
            blue=1.0,
            stain_spread_patient=0.10,
            stain_spread_image=0.05,
            light=(0.98, 0.885, 0.79),
            light_spread_patient=0.02,
            light_spread_image=0.025,
            gradient=0.015,
            vignette=0.015,
            glare=0.0,
            blur=0.17,
            defocus=0.18,
            fringe=0.0,
            sharpening=0.5,
            photons=90000.0,
            chroma_noise=0.004,
            cell_scale=1.0,
            red_density=0.014,
            red_spread_patient=0.25,
            pallor=1.1,
        ),
        # A telephone on an eyepiece: dim yellowish grey light, magenta nuclei with little blue, soft, noisy.
        Site(
            name="b",
            field=31.0,
            images_per_patient=5,
            haem=0.95,
            red_blue=0.25,
            eosin=0.75,
            purple=1.2,
            blue=0.45,
            stain_spread_patient=0.14,
            stain_spread_image=0.08,
            light=(0.94, 0.845, 0.74),
            light_spread_patient=0.03,
            light_spread_image=0.03,
            gradient=0.08,
            vignette=0.10,
            glare=0.01,
            blur=0.27,
            defocus=0.35,
            fringe=0.006,
            sharpening=0.3,
            photons=7000.0,
            chroma_noise=0.01,
            cell_scale=1.08,
            red_density=0.015,
            red_spread_patient=0.30,
            pallor=0.75,
        ),
    )
}
