"""The classic recipe of transfer learning: train a head on a frozen VGG16, then fine-tune all of it gently.

    python examples/classic_vgg16.py photos/            # photos/cat/…, photos/dog/…: one folder a class
    python examples/classic_vgg16.py                    # ten classes of shapes, drawn on the spot
    python examples/classic_vgg16.py --fit keras        # the same with model.fit, to compare
    python examples/classic_vgg16.py --weights none     # without a network to fetch ImageNet weights from

Headstart comes in at one place: `fit` is `hs.fit` rather than `keras.Model.fit`. Everything else is plain Keras. While
VGG16 is frozen its output for an image never changes, so `hs.fit` computes it once an image instead of once an epoch,
and a second run of this script doesn't compute it at all. Once VGG16 is unfrozen there is nothing left to store, and
`hs.fit` does what `model.fit` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from PIL import Image, ImageDraw

import headstart as hs

VALIDATION_SHARE = 0.2
FINE_TUNING_RATE = 1e-5

Fit = Callable[..., keras.callbacks.History]


@dataclass(frozen=True)
class Images:
    """Images as VGG16 wants them, float32, shape (images, size, size, 3), and their classes as one-hot rows."""

    x: np.ndarray
    y: np.ndarray

    def split(self) -> tuple[Images, Images]:
        """Training images and validation images, mixed beforehand, since they come class by class."""
        order = np.random.default_rng(0).permutation(len(self.x))
        validation, training = np.split(order, [round(len(order) * VALIDATION_SHARE)])
        return Images(self.x[training], self.y[training]), Images(self.x[validation], self.y[validation])


def main(arguments: Sequence[str] | None = None) -> None:
    """Both phases of the recipe."""
    options = parse(arguments)
    fit: Fit = hs.fit if options.fit == "headstart" else keras.Model.fit  # the one line that differs
    keras.utils.set_random_seed(options.seed)
    images = read_images(options.folder, options.size) if options.folder else draw_images(options.images, options.size)
    training, validation = images.split()
    model, base = build_model(images.y.shape[1], options.size, options.weights)
    train_head(fit, model, base, training, validation, options.epochs)
    fine_tune(fit, model, base, training, validation, options.fine_tuning_epochs)
    _, accuracy = model.evaluate(validation.x, validation.y, verbose=0)
    print(f"accuracy on validation images: {accuracy:.1%}")


def build_model(classes: int, size: int, weights: str | None) -> tuple[keras.Model, keras.Model]:
    """A new head on VGG16: the whole model, and VGG16 inside it."""
    base = keras.applications.VGG16(weights=weights, include_top=False, input_shape=(size, size, 3))
    model = keras.Sequential(
        [
            base,
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    return model, base


def train_head(
    fit: Fit, model: keras.Model, base: keras.Model, training: Images, validation: Images, epochs: int
) -> keras.callbacks.History:
    """First phase: only the head learns. A new head's gradients are wild and would spoil what VGG16 knows."""
    base.trainable = False
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return fit(model, training.x, training.y, epochs=epochs, validation_data=(validation.x, validation.y))


def fine_tune(
    fit: Fit, model: keras.Model, base: keras.Model, training: Images, validation: Images, epochs: int
) -> keras.callbacks.History:
    """Second phase: everything learns, in steps a hundred times smaller. Compiling again makes the change count."""
    base.trainable = True
    model.compile(
        optimizer=keras.optimizers.Adam(FINE_TUNING_RATE), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    return fit(model, training.x, training.y, epochs=epochs, validation_data=(validation.x, validation.y))


def read_images(folder: str, size: int) -> Images:
    """Images from one folder a class."""
    files = keras.utils.image_dataset_from_directory(
        folder, label_mode="categorical", image_size=(size, size), batch_size=None, shuffle=False
    )
    pixels, classes = zip(*files.as_numpy_iterator(), strict=True)
    return Images(keras.applications.vgg16.preprocess_input(np.stack(pixels)), np.stack(classes))


def draw_images(a_class: int, size: int) -> Images:
    """Ten classes of images: regular polygons of 3 to 12 corners, of any colour, size and turn."""
    rng = np.random.default_rng(0)
    corners = np.repeat(np.arange(3, 13), a_class)
    pixels = np.stack([draw_polygon(int(count), size, rng) for count in corners]).astype("float32")
    # The weights were trained on pixels in this form: BGR, with ImageNet's mean colour subtracted.
    return Images(keras.applications.vgg16.preprocess_input(pixels), keras.utils.to_categorical(corners - 3, 10))


def draw_polygon(corners: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """One image, uint8, shape (size, size, 3)."""
    background, colour = (tuple(int(value) for value in rng.integers(0, 256, 3)) for _ in range(2))
    image = Image.new("RGB", (size, size), background)
    radius = size * rng.uniform(0.2, 0.45)
    ImageDraw.Draw(image).regular_polygon((size / 2, size / 2, radius), corners, rng.uniform(0, 360), fill=colour)
    return np.asarray(image)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Trains a head on a frozen VGG16, then fine-tunes all of it.")
    parser.add_argument("folder", nargs="?", help="holds one folder of images a class; without it, shapes are drawn")
    parser.add_argument("--fit", choices=("headstart", "keras"), default="headstart", help="what trains")
    parser.add_argument(
        "--weights", default="imagenet", type=lambda name: None if name == "none" else name, help="imagenet or none"
    )
    parser.add_argument("--images", type=int, default=25, help="how many to draw of each class")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--epochs", type=int, default=10, help="with VGG16 frozen")
    parser.add_argument("--fine-tuning-epochs", type=int, default=5, help="with all of it trained")
    parser.add_argument("--seed", type=int, default=0, help="of the head's first weights and of the order of images")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
