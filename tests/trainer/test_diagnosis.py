from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from sturgeon.messages import ErrorsFinding
from trainer.analysis.diagnosis import diagnose
from trainer.analysis.error_analysis import (
    Mistake,
    Predictions,
    analysis,
    categories,
    confusion_matrix,
    mistakes,
    mistakes_report,
)
from trainer.config import TrainConfig
from trainer.data.images import image_shape, small_pictures
from trainer.data.loading import load
from trainer.data.preparation import prepare
from trainer.training import train

SIZES = dict.fromkeys(("train", "train_dev", "dev", "test"), 10_000)


@pytest.mark.parametrize(
    ("errors", "known", "widest"),
    [
        ({"train": 0.08, "dev": 0.10}, 0.01, "avoidable bias"),
        ({"train": 0.08, "dev": 0.10}, 0.075, "variance"),
        ({"train": 0.01, "train_dev": 0.09, "dev": 0.10}, 0.0, "variance"),
        ({"train": 0.01, "train_dev": 0.015, "dev": 0.10}, 0.0, "data mismatch"),
        ({"train": 0.01, "dev": 0.02, "test": 0.09}, 0.0, "fit to the dev set"),
        ({"train": 0.05, "dev": 0.051}, 0.05, None),
    ],
)
def test_the_widest_gap_of_the_courses_examples_is_named(errors, known, widest):
    found = diagnose(errors, SIZES, known)
    assert found.widest == widest
    assert bool(found.advice) == (widest is not None)


def test_the_table_gives_every_gap_with_its_ends_and_its_uncertainty():
    found = diagnose({"train": 0.08, "train_dev": 0.09, "dev": 0.12, "test": 0.11}, SIZES, 0.01)
    assert [(gap.name, gap.between, round(gap.size, 6)) for gap in found.gaps] == [
        ("avoidable bias", ("known", "train"), 0.07),
        ("variance", ("train", "train_dev"), 0.01),
        ("data mismatch", ("train_dev", "dev"), 0.03),
        ("fit to the dev set", ("dev", "test"), -0.01),
    ]
    assert found.gaps[0].uncertainty == pytest.approx((0.08 * 0.92 / 10_000) ** 0.5)


def test_a_gap_within_the_noise_of_a_small_dev_set_is_not_clear():
    assert diagnose({"train": 0.02, "dev": 0.05}, {"train": 1000, "dev": 60}, 0.02).widest is None
    assert diagnose({"train": 0.02, "dev": 0.05}, {"train": 1000, "dev": 6000}, 0.02).widest == "variance"


PROBABILITIES = np.array([[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0, 0.1, 0.9]])
LABELS = np.array([0, 0, 2, 2])


def test_mistakes_come_surest_first_with_their_classes_as_a_tag():
    predictions = Predictions.from_probabilities(PROBABILITIES, LABELS, np.array([10, 11, 12, 13]))
    found = mistakes(predictions, ("cat", "dog", "cow"))
    assert found == [
        Mistake(12, "cow", "dog", 0.8, ("cow taken for dog",)),
        Mistake(11, "cat", "dog", 0.7, ("cat taken for dog",)),
    ]
    assert confusion_matrix(LABELS, PROBABILITIES.argmax(axis=1), 3).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 1]]


def test_each_category_shows_its_count_share_and_ceiling_and_tags_by_hand_count_too():
    found = [Mistake(row, "cat", "dog", 0.9, ("cat taken for dog",)) for row in range(10)]
    by_hand = {0: ["blurry"], 1: ["blurry", "great cat"], 99: ["not a mistake"]}
    table = {c.tag: (c.count, c.share, c.ceiling, c.error_after) for c in categories(found, 100, by_hand)}
    assert table == {
        "cat taken for dog": (10, 1.0, 0.1, 0.0),
        "blurry": (2, 0.2, 0.02, 0.08),
        "great cat": (1, 0.1, 0.01, 0.09),
    }


def test_the_analysis_of_a_run_is_plain_json_and_agrees_with_its_metrics():
    config = TrainConfig("digits", epochs=3)
    data = prepare(config)
    *_, last = train(config, data, 0)
    report = analysis(last.checkpoint(), data, limit=5)
    assert json.loads(json.dumps(report)) == report
    assert report["wrong"] / report["examples"] == pytest.approx(last.metrics["dev_error"])
    assert np.sum(report["confusion"]) == report["examples"]
    assert np.trace(report["confusion"]) == report["examples"] - report["wrong"]
    assert len(report["mistakes"]) == 5
    assert set(report["suspected"]) == {"train", "dev", "test"}
    assert sum(category["count"] for category in report["categories"]) == report["wrong"]


def test_mistakes_on_pictures_come_with_their_pixels_in_the_order_of_the_mistakes():
    data = prepare(TrainConfig("digits", epochs=1))
    *_, last = train(TrainConfig("digits", epochs=1), data, 0)
    report = analysis(last.checkpoint(), data, limit=5)
    pictures, rows = report["pictures"], [mistake["row"] for mistake in report["mistakes"]]
    assert (pictures["height"], pictures["width"], pictures["channels"]) == (8, 8, 1)
    assert list(pictures["pixels"]) == [str(row) for row in rows]
    drawn = np.frombuffer(base64.b64decode(pictures["pixels"][str(rows[0])]), np.uint8)
    np.testing.assert_allclose(drawn, load("digits").X[rows[0]] / 16 * 255, atol=0.6)
    assert ErrorsFinding.model_validate(report).root.pictures is not None


@pytest.mark.parametrize(
    ("X", "shape"),
    [
        (np.zeros((2, 64)), (8, 8, 1)),
        (np.zeros((2, 28, 20)), (28, 20, 1)),
        (np.zeros((2, 4, 4, 3)), (4, 4, 3)),
        (np.zeros((2, 4, 4, 2)), None),
        (np.zeros((2, 49)), None),
        (np.zeros((2, 63)), None),
        (np.full((2, 64), -1.0), None),
        (np.full((2, 64), np.nan), None),
        (np.zeros((2, 64, 1)), None),
    ],
)
def test_only_inputs_of_the_form_of_pictures_are_taken_for_some(X: np.ndarray, shape: tuple[int, ...] | None):
    assert image_shape(X) == shape


def test_large_pictures_are_thinned_and_only_as_many_kept_as_an_upload_should_hold():
    X = np.linspace(0, 1, 300 * 64 * 48).reshape(300, -1)
    pictures = small_pictures(X, range(300), (64, 48, 1), 0.0, 1.0)
    assert (pictures["height"], pictures["width"]) == (32, 24)
    assert list(pictures["pixels"]) == [str(row) for row in range(200_000 // (32 * 24))]


@pytest.mark.fault("L1")
@pytest.mark.parametrize(("classes", "has_one"), [(300, True), (301, False)])
def test_a_matrix_that_no_server_would_take_is_left_out(classes: int, has_one: bool):
    one_each = np.arange(classes)
    predictions = Predictions(one_each, one_each, one_each, np.ones(classes), suspected=np.arange(0))

    report = mistakes_report("dev", predictions, tuple(map(str, range(classes))))

    assert (report["confusion"] is not None) == has_one
