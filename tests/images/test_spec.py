from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from headstart.errors import ImageError
from headstart.images import spec as spec_module
from headstart.images.spec import ImageSpec
from headstart.images.views import PLAIN, SMALLEST_CROP, View, make_views

LITE = ImageSpec(224, 224, interpolation="bicubic", offset=127.0, divisor=128.0)
MANY_VIEWS = (
    PLAIN,
    View(box=(0.1, 0.05, 0.9, 0.85)),
    View(quarter_turns=1),
    View(box=(0.0, 0.2, 0.8, 1.0), quarter_turns=3, mirrored=True),
)


def unscaled(height: int, width: int) -> ImageSpec:
    """A spec whose outputs are the pixel values themselves."""
    return ImageSpec(height, width, interpolation="bilinear", offset=0.0, divisor=1.0)


def noise(height: int, width: int, channels: int | None = 3) -> np.ndarray:
    shape = (height, width) if channels is None else (height, width, channels)
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    small = Image.fromarray(noise(6, 8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def png(pixels: np.ndarray) -> bytes:
    return encoded(Image.fromarray(pixels), "PNG")


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(3, 5), (224, 224), (700, 333)])
@pytest.mark.parametrize("channels", [None, 3, 4])
def test_every_image_becomes_a_float32_input_of_the_spec_s_shape(size: tuple[int, int], channels: int | None) -> None:
    (array,) = LITE.render(png(noise(*size, channels)))
    assert array.shape == (224, 224, 3)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous


def test_every_view_has_the_spec_s_shape_also_turned_in_a_spec_that_is_not_square() -> None:
    arrays = unscaled(20, 30).render(png(noise(50, 40)), MANY_VIEWS)
    assert [array.shape for array in arrays] == [(20, 30, 3)] * len(MANY_VIEWS)


@pytest.mark.parametrize(("offset", "divisor"), [(127.0, 128.0), (127.5, 127.5), (0.0, 255.0), (103.5, 58.0)])
def test_a_pixel_p_becomes_p_minus_offset_over_divisor(offset: float, divisor: float) -> None:
    pixels = noise(16, 16)
    (array,) = ImageSpec(16, 16, interpolation="bicubic", offset=offset, divisor=divisor).render(png(pixels))
    np.testing.assert_allclose(array, (pixels.astype(np.float64) - offset) / divisor, rtol=1e-6, atol=1e-7)


def test_scaling_takes_grey_and_colour_alike() -> None:
    grey = noise(4, 6, None)
    np.testing.assert_array_equal(LITE.scale(grey), LITE.scale(np.stack([grey] * 3, axis=-1)))


@pytest.mark.parametrize("view", MANY_VIEWS, ids=lambda view: view.key)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_grey_image_gives_what_its_rgb_version_gives(interpolation: str, view: View) -> None:
    spec = ImageSpec(32, 32, interpolation=interpolation, offset=127.0, divisor=128.0)
    grey = Image.fromarray(noise(75, 61, None))
    (from_grey,) = spec.render(encoded(grey, "PNG"), (view,))
    (from_rgb,) = spec.render(encoded(grey.convert("RGB"), "PNG"), (view,))
    np.testing.assert_array_equal(from_grey, from_rgb)


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    pixels = noise(12, 20)
    (array,) = unscaled(12, 20).render(png(pixels))
    np.testing.assert_array_equal(array, pixels)


def test_the_whole_image_is_stretched_to_the_input() -> None:
    halves = np.zeros((10, 40, 3), np.uint8)
    halves[:, 20:] = 255
    (array,) = unscaled(16, 16).render(png(halves))
    assert (array[:, :7] == 0).all()
    assert (array[:, 9:] == 255).all()


def test_shrinking_takes_in_every_source_pixel() -> None:
    checkered = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    (array,) = unscaled(8, 8).render(png(checkered))
    np.testing.assert_allclose(array, 127.5, atol=4)


def test_a_box_is_a_share_of_width_and_height() -> None:
    pixels = noise(8, 12)
    (array,) = unscaled(4, 6).render(png(pixels), (View(box=(0.25, 0.5, 0.75, 1.0)),))
    np.testing.assert_array_equal(array, pixels[4:8, 3:9])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_turns_are_anticlockwise_and_the_mirror_comes_after_them(turns: int, mirrored: bool) -> None:
    pixels = noise(6, 4) if turns % 2 else noise(4, 6)
    (array,) = unscaled(4, 6).render(png(pixels), (View(quarter_turns=turns, mirrored=mirrored),))
    turned = np.rot90(pixels, turns)
    np.testing.assert_array_equal(array, turned[:, ::-1] if mirrored else turned)


def test_a_box_is_cut_out_before_it_is_turned_and_mirrored() -> None:
    pixels = noise(12, 8)
    view = View(box=(0.0, 0.5, 0.5, 1.0), quarter_turns=1, mirrored=True)
    (array,) = unscaled(4, 6).render(png(pixels), (view,))
    np.testing.assert_array_equal(array, np.rot90(pixels[6:, :4])[:, ::-1])


@pytest.mark.parametrize("preset", ["natural", "orientation-free"])
@pytest.mark.parametrize("size", [(1, 1), (2, 300), (411, 97)])
def test_the_views_of_a_preset_fit_images_of_any_shape(preset: str, size: tuple[int, int]) -> None:
    views = make_views(preset, 8, seed=1)
    assert len(LITE.render(png(noise(*size)), views)) == 8


def test_rendering_twice_gives_the_same_numbers() -> None:
    data = encoded(Image.fromarray(smooth(300, 400)), "JPEG")
    for one, other in zip(LITE.render(data, MANY_VIEWS), LITE.render(data, MANY_VIEWS), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_view_does_not_depend_on_the_views_rendered_with_it() -> None:
    """Features are stored a view: one that is added later has to fit those that are already there."""
    data = encoded(Image.fromarray(smooth(1000, 1300)), "JPEG")
    for view, array in zip(MANY_VIEWS, LITE.render(data, MANY_VIEWS), strict=True):
        np.testing.assert_array_equal(array, LITE.render(data, (view,))[0])


def test_a_file_is_decoded_once_for_all_its_views(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    decode = spec_module.decode
    monkeypatch.setattr(spec_module, "decode", lambda data, **options: decoded.append(data) or decode(data, **options))
    LITE.render(png(noise(9, 9)), MANY_VIEWS)
    assert len(decoded) == 1


@pytest.mark.parametrize("shape", [(100, 200), (200, 100), (224, 224)])
def test_a_draft_has_room_for_the_smallest_crop_whichever_way_up_it_is_used(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    asked = []
    decode = spec_module.decode
    monkeypatch.setattr(spec_module, "decode", lambda data, *, smallest: asked.append(smallest) or decode(data))
    unscaled(*shape).render(png(noise(9, 9)), MANY_VIEWS)
    unscaled(*shape).thumbnail(png(noise(9, 9)))
    enough = math.ceil(max(shape) / SMALLEST_CROP)
    assert asked == [(enough, enough)] * 2


@pytest.mark.parametrize("size", [(1000, 1500), (1500, 1000)])
def test_a_large_jpeg_gives_nearly_what_its_every_pixel_would_give(size: tuple[int, int]) -> None:
    pixels = smooth(*size)
    spec = unscaled(224, 224)
    for jpeg, full in zip(
        spec.render(encoded(Image.fromarray(pixels), "JPEG", quality=95), MANY_VIEWS),
        spec.render(png(pixels), MANY_VIEWS),
        strict=True,
    ):
        assert np.abs(jpeg - full).mean() < 2


@pytest.mark.parametrize("shape", [(224, 224), (100, 200), (200, 100)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_thumbnail_is_exactly_what_the_base_sees(shape: tuple[int, int], orientation: int) -> None:
    spec = ImageSpec(*shape, interpolation="bicubic", offset=127.0, divisor=128.0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(smooth(400, 800)), "JPEG", exif=exif)
    thumbnail = spec.thumbnail(data)
    assert thumbnail.dtype == np.uint8
    np.testing.assert_array_equal(spec.scale(thumbnail), spec.render(data)[0])


def test_a_grey_thumbnail_has_three_channels() -> None:
    assert LITE.thumbnail(png(noise(5, 5, None))).shape == (224, 224, 3)


def test_a_file_that_is_no_image_is_refused() -> None:
    with pytest.raises(ImageError, match="not an image in a format that is read here"):
        LITE.render(b"name,label\n" * 20)


def test_a_spec_survives_the_way_through_json() -> None:
    assert ImageSpec.from_dict(json.loads(json.dumps(LITE.as_dict()))) == LITE


def test_specs_that_differ_anywhere_have_different_keys() -> None:
    specs = [
        LITE,
        ImageSpec(225, 224, interpolation="bicubic", offset=127.0, divisor=128.0),
        ImageSpec(224, 225, interpolation="bicubic", offset=127.0, divisor=128.0),
        ImageSpec(224, 224, interpolation="bilinear", offset=127.0, divisor=128.0),
        ImageSpec(224, 224, interpolation="bicubic", offset=127.5, divisor=128.0),
        ImageSpec(224, 224, interpolation="bicubic", offset=127.0, divisor=127.5),
    ]
    assert len({spec.key for spec in specs}) == len(specs)
    assert LITE.key == "224x224;bicubic;127;128;srgb"


CAFFE = ImageSpec(224, 224, "bilinear", (103.939, 116.779, 123.68), 1.0, channels="bgr")
TORCH = ImageSpec(224, 224, "bilinear", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def test_each_channel_has_its_own_offset_and_divisor() -> None:
    pixels = noise(8, 8)
    expected = (pixels.astype(np.float64) - TORCH.offset) / TORCH.divisor
    np.testing.assert_allclose(TORCH.scale(pixels), expected, rtol=1e-5, atol=1e-6)


def test_blue_comes_first_where_the_network_takes_it_so() -> None:
    pixels = noise(8, 8)
    scaled = CAFFE.scale(pixels)
    np.testing.assert_allclose(scaled, pixels[..., ::-1].astype(np.float64) - CAFFE.offset, rtol=1e-5, atol=1e-5)
    assert scaled.dtype == np.float32
    assert scaled.flags.c_contiguous


@pytest.mark.parametrize("spec", [CAFFE, TORCH], ids=["caffe", "torch"])
def test_a_spec_a_channel_survives_the_way_through_json_and_has_a_key_of_its_own(spec: ImageSpec) -> None:
    assert ImageSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec
    assert len({spec.key, LITE.key, ImageSpec(224, 224, "bilinear", spec.offset, spec.divisor, "rgb").key + "x"}) == 3


def test_the_order_of_the_channels_is_part_of_the_key() -> None:
    keys = {ImageSpec(9, 9, "bilinear", 0.0, 1.0, channels=order).key for order in ("rgb", "bgr")}
    assert keys == {"9x9;bilinear;0;1;srgb", "9x9;bilinear;0;1;bgr;srgb"}


def test_a_spec_as_older_runs_have_it_is_read_and_written_as_before() -> None:
    fields = {"height": 224, "width": 224, "interpolation": "bicubic", "offset": 127.0, "divisor": 128.0}
    assert ImageSpec.from_dict(fields) == LITE
    assert LITE.as_dict() == fields


def test_another_size_changes_nothing_else() -> None:
    resized = CAFFE.with_size(96, 128)
    assert (resized.height, resized.width) == (96, 128)
    assert resized.with_size(224, 224) == CAFFE
