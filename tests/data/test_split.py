from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.dataset import PARTS, Part, Sample
from headstart.data.split import SHARES, Split, split
from headstart.errors import DataError

# A class's images as (label, content); equal contents are copies of a file.
Images = list[tuple[str, str]]


def images(label: str, count: int, start: int = 0) -> Images:
    return [(label, f"{label} {number}") for number in range(start, start + count)]


def divided(found: Images, seed: int = 0, part: Part | None = None) -> Split:
    samples = [Sample(Path(f"{label}/{number}.png"), label, part) for number, (label, _) in enumerate(found)]
    return split(samples, digests_of(found), seed)


def digests_of(found: Images) -> list[str]:
    return [hashlib.sha256(content.encode()).hexdigest() for _, content in found]


def place_of(found: Images, seed: int = 0) -> dict[str, Part]:
    """The part of each content."""
    return dict(zip((content for _, content in found), divided(found, seed).parts, strict=True))


def test_shares_hold_within_each_class() -> None:
    parts = divided(images("common", 4000) + images("rare", 1000)).parts
    for own in (parts[:4000], parts[4000:]):
        for part in PARTS:
            assert own.count(part) / len(own) == pytest.approx(SHARES[part], abs=0.04)


def test_shares_add_up_to_everything() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert SHARES == {"train": 0.70, "validation": 0.15, "test": 0.15}


def test_every_class_is_in_every_part_however_few_images_it_has() -> None:
    found = [image for number in range(60) for image in images(f"class {number}", 3 + number % 4)]
    parts = divided(found).parts
    present = {(label, part) for (label, _), part in zip(found, parts, strict=True)}
    assert present == {(label, part) for label, _ in found for part in PARTS}


def test_copies_of_a_file_share_a_side() -> None:
    found = images("cat", 40) * 3 + images("dog", 5)
    parts = divided(found).parts
    assert parts[:40] == parts[40:80] == parts[80:120]


def test_images_do_not_move_when_others_come() -> None:
    old = images("cat", 300) + images("dog", 300)
    before = place_of(old)
    after = place_of(images("owl", 50) + images("cat", 90, start=300) + old)
    assert {content: after[content] for content in before} == before


def test_images_do_not_move_when_others_go() -> None:
    whole = images("cat", 400) + images("dog", 400)
    before, after = place_of(whole), place_of(whole[::2])
    assert after == {content: before[content] for content in after}


def test_another_seed_is_another_division() -> None:
    found = images("cat", 200) + images("dog", 200)
    one, other = place_of(found, seed=1), place_of(found, seed=2)
    assert one == place_of(found, seed=1)
    moved = sum(one[content] != other[content] for content in one)
    assert 100 < moved < 300  # 48 % are expected to


def test_a_drawn_split_says_so() -> None:
    assert divided(images("cat", 9)).origin == "drawn from the images' content and the seed, within each class"


def test_indices_and_counts_tell_the_parts_apart() -> None:
    result = Split(("train", "test", "train", "validation"), origin="")
    assert (result.indices("train"), result.indices("validation"), result.indices("test")) == ([0, 2], [3], [1])
    assert result.counts() == {"train": 2, "validation": 1, "test": 1}


def given_parts(**counts: int) -> tuple[list[Sample], list[str]]:
    """Samples of two classes with so many images each in the given parts."""
    rows = [
        (label, part, f"{label} {part} {number}")
        for label in ("cat", "dog")
        for part, count in counts.items()
        for number in range(count)
    ]
    samples = [Sample(Path(part, label, content), label, part) for label, part, content in rows]
    return samples, [hashlib.sha256(content.encode()).hexdigest() for _, _, content in rows]


def test_parts_that_were_given_are_kept() -> None:
    samples, digests = given_parts(train=5, validation=2, test=3)
    result = split(samples, digests, seed=0)
    assert list(result.parts) == [sample.part for sample in samples]
    assert result.origin == "as the folders give it"


@pytest.mark.parametrize(("kept", "missing"), [("test", "validation"), ("validation", "test")])
def test_a_missing_part_is_carved_from_the_training_folder(kept: Part, missing: Part) -> None:
    samples, digests = given_parts(train=1000, **{kept: 5})
    result = split(samples, digests, seed=0)
    assert all((part == kept) == (sample.part == kept) for sample, part in zip(samples, result.parts, strict=True))
    share = SHARES[missing] / (SHARES["train"] + SHARES[missing])
    assert result.counts()[missing] / 2000 == pytest.approx(share, abs=0.03)
    assert result.origin == f"as the folders give it; {missing} drawn from the training folder"
    for label in ("cat", "dog"):
        own = [part for sample, part in zip(samples, result.parts, strict=True) if sample.label == label]
        assert set(own) == {"train", missing, kept}


def test_a_training_folder_alone_gives_up_both_other_parts() -> None:
    samples, digests = given_parts(train=6)
    result = split(samples, digests, seed=0)
    assert set(result.parts) == set(PARTS)
    assert result.origin == "as the folders give it; validation and test drawn from the training folder"


def test_too_few_different_images_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        divided(images("cat", 9) + images("dog", 2) * 5)
    assert str(caught.value) == (
        "class 'dog' has too few different images: 2, where 3 are needed, one a part; "
        "add images of it; copies of a file count once"
    )


def test_two_images_are_enough_where_only_validation_is_missing() -> None:
    samples, digests = given_parts(train=2, test=1)
    assert split(samples, digests, seed=0).counts() == {"train": 2, "validation": 2, "test": 2}


def test_one_training_image_is_too_few_where_validation_is_missing() -> None:
    samples, digests = given_parts(train=1, test=5)
    with pytest.raises(DataError, match="class 'cat' has too few different images: 1, where 2 are needed, one a part"):
        split(samples, digests, seed=0)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(3, 30), min_size=2, max_size=5),
    copies=st.integers(0, 10),
    seed=st.integers(0, 2**32),
    shuffle=st.randoms(use_true_random=False),
)
def test_any_split_fills_every_part_and_depends_on_content_and_seed_alone(
    sizes: list[int], copies: int, seed: int, shuffle: random.Random
) -> None:
    found = [image for number, size in enumerate(sizes) for image in images(f"class {number}", size)]
    found += shuffle.choices(found, k=copies)
    parts = divided(found, seed).parts
    for label in {label for label, _ in found}:
        assert {part for (own, _), part in zip(found, parts, strict=True) if own == label} == set(PARTS)
    sides = {(content, part) for (_, content), part in zip(found, parts, strict=True)}
    assert len(sides) == len({content for _, content in found})
    shuffled = shuffle.sample(found, len(found))
    assert place_of(shuffled, seed) == place_of(found, seed)


# Images of a table as (labels, content).
Tagged = list[tuple[tuple[str, ...], str]]


def tagged(found: Tagged, seed: int = 0) -> dict[str, Part]:
    """The part of each content."""
    samples = [Sample(Path(f"{number}.png"), labels) for number, (labels, _) in enumerate(found)]
    digests = [hashlib.sha256(content.encode()).hexdigest() for _, content in found]
    parts = split(samples, digests, seed, "multi-label", "table").parts
    return dict(zip((content for _, content in found), parts, strict=True))


def test_every_label_is_in_every_part_where_images_suffice() -> None:
    found: Tagged = [(("common",), f"c{number}") for number in range(200)]
    found += [(("common", "rare"), f"r{number}") for number in range(3)] + [(("few",), f"f{n}") for n in range(4)]
    found += [((), f"n{number}") for number in range(40)]
    for seed in range(20):
        places = tagged(found, seed)
        present = {(label, places[content]) for labels, content in found for label in labels}
        assert present == {(label, part) for label in ("common", "rare", "few") for part in PARTS}


def test_topping_up_a_label_never_takes_another_one_s_last_image_away() -> None:
    """Both labels are on the same three images; moving one image for the first must leave the second in all parts."""
    found: Tagged = [(("a", "b"), f"x{number}") for number in range(3)]
    for seed in range(20):
        assert set(tagged(found, seed).values()) == set(PARTS)


def test_images_with_labels_are_divided_as_any_others() -> None:
    found: Tagged = [(("a",) if number % 2 else ("a", "b"), str(number)) for number in range(4000)]
    places = list(tagged(found).values())
    for part in PARTS:
        assert places.count(part) / 4000 == pytest.approx(SHARES[part], abs=0.03)


def test_no_image_with_labels_moves_when_others_come_that_leave_no_label_short() -> None:
    found: Tagged = [(("a",) if number % 2 else ("a", "b"), str(number)) for number in range(100)]
    before = tagged(found)
    after = tagged([*found, *((("b", "c"), f"new {number}") for number in range(50))])
    assert {content: after[content] for content in before} == before


def test_a_label_with_fewer_images_than_parts_is_refused() -> None:
    with pytest.raises(DataError, match="label 'b' has too few different images: 2, where 3 are needed, one a part"):
        tagged([(("a",), "1"), (("a",), "2"), (("a", "b"), "3"), (("b",), "4")])


@settings(deadline=None)
@given(
    labels=st.lists(st.sets(st.sampled_from("abcd")), min_size=30, max_size=60),
    seed=st.integers(0, 2**32),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_order_of_images_with_labels_does_not_matter(
    labels: list[set[str]], seed: int, shuffle: random.Random
) -> None:
    found: Tagged = [(tuple(sorted(own)), str(number)) for number, own in enumerate(labels)]
    found += [(("a", "b", "c", "d"), f"all {number}") for number in range(3)]
    assert tagged(shuffle.sample(found, len(found)), seed) == tagged(found, seed)


def numbered(values: list[float], seed: int = 0) -> Split:
    samples = [Sample(Path(f"{number}.png"), value) for number, value in enumerate(values)]
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(len(values))]
    return split(samples, digests, seed, "regression", "table")


def test_numbers_are_divided_by_content_and_seed_whatever_they_are() -> None:
    values = [float(number) for number in range(3000)]
    found = numbered(values)
    assert found.parts == numbered(values[::-1]).parts != numbered(values, seed=1).parts
    assert found.origin == "drawn from the images' content and the seed"
    for part in PARTS:
        assert found.parts.count(part) / 3000 == pytest.approx(SHARES[part], abs=0.03)
        assert sum(values[place] for place in found.indices(part)) / found.parts.count(part) == pytest.approx(
            1500, rel=0.1
        )
    longer = numbered([*values, *values])
    assert longer.parts[:3000] == found.parts


def test_three_numbers_fill_three_parts_and_two_do_not() -> None:
    assert set(numbered([1.0, 2.0, 3.0]).parts) == set(PARTS)
    with pytest.raises(DataError, match="the table has too few different images: 2, where 3 are needed"):
        numbered([1.0, 2.0])


def test_parts_of_a_table_are_said_to_be_its_own() -> None:
    samples = [Sample(Path(f"{number}.png"), float(number), "train") for number in range(20)]
    samples += [Sample(Path(f"{number}.png"), float(number), "test") for number in range(20, 25)]
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(25)]
    found = split(samples, digests, 0, "regression", "table")
    assert found.origin == "as the table gives it; validation drawn from the training part"
    assert set(found.parts[:20]) == {"train", "validation"}
    assert set(found.parts[20:]) == {"test"}


# A class's images as (label, content, group).
Grouped = list[tuple[str, str, str | None]]


def grouped(found: Grouped, seed: int = 0, parts: list[Part] | None = None) -> Split:
    samples = [
        Sample(Path(f"{number}.png"), label, parts[number] if parts else None, group)
        for number, (label, _, group) in enumerate(found)
    ]
    return split(samples, digests_of([(label, content) for label, content, _ in found]), seed, given_by="table")


def patients(count: int, images_each: int = 5, start: int = 0) -> Grouped:
    """Images of patients, of whom each has both classes."""
    return [
        ("ill" if number % 2 else "well", f"patient {patient} {number}", f"patient {patient}")
        for patient in range(start, start + count)
        for number in range(images_each)
    ]


def sides(found: Grouped, division: Split) -> dict[str | None, set[Part]]:
    """The parts that each group is in."""
    parts: dict[str | None, set[Part]] = {}
    for (_, _, group), part in zip(found, division.parts, strict=True):
        parts.setdefault(group, set()).add(part)
    return parts


def test_a_group_is_in_one_part_and_shares_still_hold() -> None:
    found = patients(400)
    division = grouped(found)
    assert all(len(parts) == 1 for parts in sides(found, division).values())
    for part in PARTS:
        assert division.parts.count(part) / len(found) == pytest.approx(SHARES[part], abs=0.06)
    assert division.origin.endswith("; no group in two parts")


def test_a_group_stays_where_it_was_when_others_and_its_own_images_come() -> None:
    before = patients(50)
    after = patients(80, images_each=9)
    was, now = sides(before, grouped(before)), sides(after, grouped(after))
    assert all(now[group] == parts for group, parts in was.items())


def test_groups_that_share_a_file_are_one() -> None:
    found = patients(60)
    found += [("well", f"patient {number - 1} 0", f"patient {number}") for number in range(20, 0, -1)]
    division = grouped(found)
    of_groups = sides(found, division)
    assert len({part for number in range(21) for part in of_groups[f"patient {number}"]}) == 1
    assert len(set(division.units)) == 40


def test_images_without_a_group_are_on_their_own() -> None:
    found: Grouped = [*patients(30), *(("well", f"alone {number}", None) for number in range(200))]
    division = grouped(found)
    assert len(sides(found, division)[None]) == 3
    assert len(set(division.units)) == 230


def test_every_class_is_in_every_part_if_groups_allow_it() -> None:
    for seed in range(30):
        found = patients(3) + [("rare", f"rare {number}", f"other {number % 3}") for number in range(9)]
        division = grouped(found, seed)
        present = {(label, part) for (label, _, _), part in zip(found, division.parts, strict=True)}
        assert present == {(label, part) for label in ("ill", "well", "rare") for part in PARTS}


def test_a_class_of_two_groups_cannot_be_in_three_parts() -> None:
    found = patients(20) + [("rare", f"rare {number}", f"other {number % 2}") for number in range(50)]
    with pytest.raises(DataError) as caught:
        grouped(found)
    assert str(caught.value) == (
        "class 'rare' has too few groups: 2, where 3 are needed, one a part; "
        "add images of it; or let go of groups with --group-column none"
    )


def test_numbers_are_divided_by_group_too() -> None:
    samples = [Sample(Path(f"{number}.png"), float(number), None, f"group {number // 4}") for number in range(400)]
    division = split(
        samples, [hashlib.sha256(str(number).encode()).hexdigest() for number in range(400)], 0, "regression"
    )
    assert all(len(set(division.parts[start : start + 4])) == 1 for start in range(0, 400, 4))
    assert set(division.parts) == set(PARTS)


def test_several_labels_are_divided_by_group_too() -> None:
    labels = [("a",), ("a", "b"), (), ("b",)]
    samples = [Sample(Path(f"{number}.png"), labels[number % 4], None, f"group {number // 3}") for number in range(300)]
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(300)]
    division = split(samples, digests, 0, "multi-label")
    assert all(len(set(division.parts[start : start + 3])) == 1 for start in range(0, 300, 3))


def test_groups_across_given_parts_are_counted() -> None:
    found = patients(10)
    parts: list[Part] = ["test" if number % 5 == 0 else "train" for number in range(50)]
    division = grouped(found, parts=parts)
    assert [part for part in division.parts if part == "test"] == ["test"] * 10
    assert division.origin.endswith("; 10 of 10 groups are in several given parts")


def test_without_groups_a_unit_is_a_file() -> None:
    found = images("cat", 10) * 2 + images("dog", 10)
    assert divided(found).units == tuple(digests_of(found))


def alike_divided(found: Images, alike: list[list[str]]) -> Split:
    """Where contents are near-duplicates, group by group."""
    samples = [Sample(Path(f"{number}.png"), label, None) for number, (label, _) in enumerate(found)]
    digests = dict(zip((content for _, content in found), digests_of(found), strict=True))
    return split(samples, list(digests.values()), 0, alike=[[digests[content] for content in group] for group in alike])


def test_near_duplicates_share_a_side_and_nothing_else_moves() -> None:
    found = images("cat", 200) + images("dog", 200)
    alike = [[f"cat {number}", f"cat {number + 100}", f"dog {number}"] for number in range(30)]
    before, after = alike_divided(found, []), alike_divided(found, alike)
    place = dict(zip((content for _, content in found), after.parts, strict=True))
    assert all(len({place[content] for content in group}) == 1 for group in alike)
    linked = {content for group in alike for content in group}
    others = [number for number, (_, content) in enumerate(found) if content not in linked]
    assert [before.parts[number] for number in others] == [after.parts[number] for number in others]
    assert after.counts()["test"] > 30
    assert len({after.units[number] for number, (_, content) in enumerate(found) if content in alike[0]}) == 1


def test_a_group_takes_its_near_duplicates_along() -> None:
    found = [("cat", f"{number}") for number in range(100)]
    samples = [
        Sample(Path(f"{number}.png"), "cat" if number % 2 else "dog", None, f"patient {number // 10}")
        for number in range(100)
    ]
    digests = digests_of(found)
    division = split(samples, digests, 0, alike=[[digests[0], digests[99]], [digests[95], digests[42]]])
    parts = {division.parts[number] for number in (*range(10), *range(90, 100), *range(40, 50))}
    assert len(parts) == 1


def test_numbers_that_are_near_duplicates_share_a_side() -> None:
    samples = [Sample(Path(f"{number}.png"), float(number), None) for number in range(200)]
    digests = digests_of([("", f"{number}") for number in range(200)])
    alike = [[digests[number], digests[number + 100]] for number in range(50)]
    division = split(samples, digests, 0, "regression", alike=alike)
    assert all(division.parts[number] == division.parts[number + 100] for number in range(50))


def test_a_class_of_copies_that_are_nearly_one_has_too_few_images() -> None:
    found = images("cat", 20) + images("dog", 4)
    with pytest.raises(DataError, match="class 'dog' has too few different images: 2, where 3 are needed"):
        alike_divided(found, [["dog 0", "dog 1", "dog 2"]])


def kept(found: Images, earlier: dict[str, Part], alike: list[list[str]] | None = None) -> dict[str, Part]:
    """The part of each content, beside an earlier split by content."""
    samples = [Sample(Path(f"{label}/{number}.png"), label) for number, (label, _) in enumerate(found)]
    digest_of = dict(zip((content for _, content in found), digests_of(found), strict=True))
    groups = [[digest_of[content] for content in group] for group in alike or []]
    before = {digest_of[content]: part for content, part in earlier.items()}
    parts = split(samples, digests_of(found), 0, alike=groups, earlier=before).parts
    return dict(zip((content for _, content in found), parts, strict=True))


def test_what_an_earlier_split_placed_stays_there() -> None:
    found = images("cat", 60) + images("dog", 60)
    other = place_of(found, seed=1)
    assert kept(found, other) == other
    some = {content: other[content] for _, content in found[::2]}
    rest = kept(found, some)
    assert {content: rest[content] for content in some} == some
    drawn = place_of(found)
    assert all(rest[content] == drawn[content] for _, content in found[1::2])


def test_what_belongs_together_goes_where_most_of_it_was() -> None:
    found = images("cat", 40) + images("dog", 40)
    group = ["cat 0", "cat 1", "cat 2", "cat 3"]
    places = kept(found, {"cat 0": "test", "cat 1": "validation", "cat 2": "validation"}, [group])
    assert {places[content] for content in group} == {"validation"}
    alone = kept(found, {"cat 0": "test"}, [group])
    assert {alone[content] for content in group} == {"test"}


def test_a_part_is_topped_up_with_what_was_not_placed_before() -> None:
    found = images("cat", 9)
    earlier: dict[str, Part] = {content: "train" for _, content in found[:7]}
    places = kept(found, earlier)
    assert sorted(places[content] for _, content in found[7:]) == ["test", "validation"]
    assert all(places[content] == "train" for content in earlier)


def test_an_earlier_part_that_is_given_now_is_not_drawn_again() -> None:
    found = images("cat", 30)
    samples = [Sample(Path(f"{i}.png"), "cat", "test" if i < 10 else "train") for i in range(30)]
    before: dict[str, Part] = dict.fromkeys(digests_of(found), "test")
    made = split(samples, digests_of(found), 0, earlier=before)
    assert made.parts[:10] == ("test",) * 10
    assert "test" not in made.parts[10:]
    assert "earlier run" not in made.origin
