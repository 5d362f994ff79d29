import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from cytobench.datasets.profile import measure, profile, sheet
from tests.conftest import picture


@pytest.fixture
def pixels() -> np.ndarray:
    """Twenty noise pictures; the last three are black, white and blurred."""
    images = [picture(number, size=32) for number in range(20)]
    images[17], images[18] = Image.new("RGB", (32, 32), "black"), Image.new("RGB", (32, 32), "white")
    images[19] = images[19].filter(ImageFilter.GaussianBlur(3))
    return np.stack([np.asarray(one) for one in images])


@pytest.fixture
def table() -> pd.DataFrame:
    rows = pd.DataFrame({"row": [str(row) for row in range(20)], "label": ["a"] * 10 + ["b"] * 10})
    return rows.assign(file=[f"{row}.png" for row in range(20)], id=[f"id {row}" for row in range(20)])


def test_measurements_are_those_of_each_image_by_itself(pixels: np.ndarray) -> None:
    """Against numbers computed image by image in double precision with Pillow's weights of luminance."""
    found = measure(pixels, chunk=7)
    for number, image in enumerate(pixels):
        grey = image.astype(np.float64) @ [0.299, 0.587, 0.114]
        assert found.light[number] == pytest.approx(grey.mean(), rel=1e-4, abs=1e-3)
        assert found.contrast[number] == pytest.approx(grey.std(), rel=1e-3, abs=1e-2)
        np.testing.assert_allclose(found.colour[number], image.mean(axis=(0, 1)), rtol=1e-4, atol=1e-3)


def test_black_white_and_blurred_images_stand_apart(pixels: np.ndarray, table: pd.DataFrame) -> None:
    found = profile(table, pixels)
    assert found["nearly black"] == ["17.png"]
    assert found["nearly white"] == ["18.png"]
    assert "19.png" in found["far less sharp than the rest"]
    assert found["classes"]["a"]["images"] == 10
    assert found["all"]["images"] == 20


def test_the_rows_of_the_table_say_whose_pixels_are_whose(pixels: np.ndarray, table: pd.DataFrame) -> None:
    turned = profile(table.iloc[::-1].reset_index(drop=True), pixels)
    assert turned["nearly black"] == ["17.png"]
    assert turned["classes"] == profile(table, pixels)["classes"]


def test_a_sheet_has_a_row_for_every_class_and_the_same_pictures_for_a_seed(
    pixels: np.ndarray, table: pd.DataFrame
) -> None:
    one, same, other = (sheet(table, pixels, seed=seed) for seed in (0, 0, 1))
    assert one.size == (180 + 12 * 32, 2 * 32)
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()
