from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

LOAD = """
import sys, keras, headstart as hs
if sys.argv[2] == "told":
    model = keras.models.load_model(sys.argv[1], custom_objects=hs.custom_objects())
    model.train_on_batch(keras.ops.ones((2, 4)), keras.ops.zeros((2,)))
    print(*(share for path, share in model.optimizer.shares if path.endswith("low/kernel")))
else:
    keras.models.load_model(sys.argv[1])
"""


@pytest.fixture
def saved(tmp_path: Any) -> Any:
    import keras

    from headstart.learn.losses import make_loss
    from headstart.learn.unfreeze import unfreeze

    layers = [keras.Input((4,)), keras.layers.Dense(3, name="low"), keras.layers.Dense(2, name="top")]
    model = keras.Sequential(layers)
    model.compile("adam", make_loss("multi-class", labels="integers", label_smoothing=0.1, from_logits=True))
    unfreeze(model, learning_rates={"low": 1e-5, "top": 1e-3})
    model.train_on_batch(np.ones((2, 4)), np.zeros(2))
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.mark.parametrize("told", [True, False])
def test_a_new_process_loads_a_model_with_rates_and_loss_of_ours_once_it_is_told_of_them(
    saved: Any, told: bool
) -> None:
    command = [sys.executable, "-c", LOAD, str(saved), "told" if told else "untold"]
    process = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if told:
        assert process.returncode == 0, process.stderr
        assert float(process.stdout.split()[-1]) == pytest.approx(0.01)
    else:
        assert "Could not locate class" in process.stderr
