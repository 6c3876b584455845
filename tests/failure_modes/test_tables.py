# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables from files, and what is wrong with them in one line."""

import numpy as np
import pytest

from geco_tf import errors
from geco_tf.failure_modes import tables


@pytest.fixture(name="rows")
def _rows():
  return np.random.default_rng(0).normal(size=[20, 3])


def _npz(tmp_path, **arrays):
  path = tmp_path / "table.npz"
  np.savez(path, **arrays)
  return f"npz:{path}"


def _csv(tmp_path, text):
  path = tmp_path / "table.csv"
  path.write_text(text, encoding="utf-8")
  return f"csv:{path}"


def test_npz_is_read_by_its_only_key(tmp_path, rows):
  table = tables.read(_npz(tmp_path, anything=rows))
  np.testing.assert_array_equal(table.values, rows)


def test_npz_is_read_by_a_usual_key_or_the_given_one(tmp_path, rows):
  spec = _npz(tmp_path, x=rows, other=2.0 * rows)
  np.testing.assert_array_equal(tables.read(spec).values, rows)
  np.testing.assert_array_equal(tables.read(f"{spec}:other").values, 2 * rows)


@pytest.mark.parametrize("header", ["a,b,c\n", ""])
def test_csv_is_read_with_and_without_a_header(tmp_path, rows, header):
  lines = "\n".join(",".join(str(v) for v in row) for row in rows)
  table = tables.read(_csv(tmp_path, header + lines))
  np.testing.assert_allclose(table.values, rows)
  assert table.columns == (("a", "b", "c") if header else ("0", "1", "2"))


@pytest.mark.parametrize("first", ["1,,3", ",2,3"])
def test_first_row_with_a_missing_number_is_no_header(tmp_path, first):
  spec = _csv(tmp_path, f"{first}\n" + "1,2,3\n" * 12)
  with pytest.raises(errors.UserError, match="NaN or infinity stands in"):
    tables.read(spec)


@pytest.mark.parametrize("header", ["a,b,c\n", ""])
def test_byte_order_mark_of_a_csv_is_dropped(tmp_path, rows, header):
  lines = "\n".join(",".join(str(v) for v in row) for row in rows)
  table = tables.read(_csv(tmp_path, f"\ufeff{header}{lines}"))
  np.testing.assert_allclose(table.values, rows)
  assert table.columns[0] == ("a" if header else "0")


def test_held_out_rows_are_enough_for_the_tests_of_them(rows):
  table = tables.Table(rows[:10], ("a", "b", "c"))
  split = tables.split(table, test_share=0.01, seed=0)
  assert (len(split.train), len(split.test)) == (5, 5)


def test_error_when_no_rows_are_left_to_train_on(rows):
  table = tables.Table(rows, ("a", "b", "c"))
  with pytest.raises(errors.UserError, match=r"`test_share`.*leaves 0 of 20"):
    tables.split(table, test_share=0.99, seed=0)


def test_error_when_there_are_no_columns():
  with pytest.raises(errors.UserError, match="must have columns"):
    tables.checked(tables.Table(np.zeros([20, 0]), ()))


def test_split_is_standardised_by_the_training_rows(rows):
  table = tables.Table(1e6 + 100.0 * rows, ("a", "b", "c"))
  split = tables.split(table, test_share=0.25, seed=0)
  assert split.train.shape == (15, 3)
  assert split.test.shape == (5, 3)
  np.testing.assert_allclose(split.train.mean(axis=0), 0.0, atol=1e-9)
  np.testing.assert_allclose(split.train.std(axis=0), 1.0)
  back = (
    np.concatenate([split.train, split.test]) * split.deviation + split.mean
  )
  np.testing.assert_allclose(
    np.sort(back, axis=0), np.sort(table.values, axis=0)
  )


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("table.npz", "`data` must be npz:FILE, npz:FILE:KEY or csv:FILE"),
    ("npz:/nowhere.npz", "'/nowhere.npz' is not there"),
    ("csv:/nowhere.csv", "'/nowhere.csv' is not there"),
  ],
)
def test_error_when_there_is_no_file(spec, message):
  with pytest.raises(errors.UserError, match=message):
    tables.read(spec)


def test_error_when_the_key_is_wrong_or_missing(tmp_path, rows):
  spec = _npz(tmp_path, first=rows, second=rows)
  with pytest.raises(errors.UserError, match=r"Unknown array.*'first'"):
    tables.read(f"{spec}:frist")
  with pytest.raises(errors.UserError, match=r"which array.*first, second"):
    tables.read(spec)


@pytest.mark.parametrize(
  "array", [np.ones([5]), np.ones([5, 2, 2]), np.full([20, 2], "a")]
)
def test_error_when_the_array_is_no_table(tmp_path, array):
  with pytest.raises(errors.UserError, match="must be a table of numbers"):
    tables.read(_npz(tmp_path, x=array))


def test_error_when_the_file_is_no_npz(tmp_path):
  path = tmp_path / "table.npz"
  path.write_text("a,b")
  with pytest.raises(errors.UserError, match="is no npz file"):
    tables.read(f"npz:{path}")


def test_error_names_columns_with_nan(tmp_path):
  body = "\n".join(["1,2,3"] * 6 + ["4,,nan"] * 6)
  with pytest.raises(errors.UserError, match="columns weight, age"):
    tables.read(_csv(tmp_path, f"height,weight,age\n{body}"))


def test_error_names_constant_columns(tmp_path, rows):
  rows[:, 1] = 5.0
  with pytest.raises(errors.UserError, match=r"one value alone.*column 1\."):
    tables.read(_npz(tmp_path, x=rows))


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("", "is empty"),
    ("a,b\n1,2\n3\n", "2 columns in every row; row 2 has 1"),
    ("a,b\n1,2\n3,x\n", "row 2, column b, is 'x'"),
    ("a,b\n1,2\n3,4\n", "10 rows or more; got 2"),
    ("a;b\n1;2\n", "commas between columns.*begins with 'a;b'"),
  ],
)
def test_error_when_csv_is_no_table(tmp_path, text, message):
  with pytest.raises(errors.UserError, match=message):
    tables.read(_csv(tmp_path, text))


# The deviation of a repeated .1 is a rounding error, and not 0.
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_error_when_a_column_varies_in_held_out_rows_alone(value):
  values = np.random.default_rng(0).normal(size=[20, 2])
  values[:, 1] = value
  # The permutation of seed 0 holds this row out.
  values[np.random.default_rng(0).permutation(20)[0], 1] = 1.0
  with pytest.raises(errors.UserError, match=r"training rows too.*column b"):
    tables.split(tables.Table(values, ("a", "b")), test_share=0.3, seed=0)
