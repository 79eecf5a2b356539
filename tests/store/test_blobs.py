"""Where versions are: a folder, or a bucket, which must let go of what is removed."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from lorecall.errors import ConfigError, IntegrityError, PendingError, StorageError
from lorecall.store import Store
from lorecall.store.blobs import Blobs, S3Blobs, blobs_at
from stores import FakeBuilder


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a new bucket's name; the environment says how it is reached."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"b{uuid4().hex}"
    client().create_bucket(Bucket=name)
    return name


@cache  # it takes a while to make
def client() -> Any:
    """Return what asks the server itself."""
    return boto3.client("s3")


def keep_versions(bucket: str) -> None:
    """Have a bucket keep what is overwritten and deleted."""
    status = {"Status": "Enabled"}
    client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=status)


def n_left(bucket: str) -> int:
    """Return how many versions and marks of deleted objects a bucket has."""
    page = client().list_object_versions(Bucket=bucket)
    return len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ()))


class Away(S3Blobs):
    """A bucket that cannot be reached when something is to be removed."""

    def remove(self, person: str, uid: str) -> None:
        """Refuse."""
        raise StorageError("the bucket", expected=f"{person}/{uid}", got="none", next_step="Wait.")


@pytest.fixture(params=["folder", "bucket", "bucket that keeps versions"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Return each kind in turn."""
    if request.param == "folder":
        return blobs_at(tmp_path / "blobs")
    bucket = request.getfixturevalue("bucket")
    if "keeps" in request.param:
        keep_versions(bucket)
    return blobs_at(f"s3://{bucket}/some/place")


def test_what_is_put_is_there_until_it_is_removed(blobs: Blobs) -> None:
    """By person, whole, and without another's."""
    blobs.check()
    assert (blobs.people(), blobs.names("p1")) == ([], [])
    for person, uid in (("p1", "u1"), ("p1", "u2"), ("p1", "u12"), ("p2", "u1")):
        blobs.put(person, uid, f"{person} {uid}".encode())
    blobs.put("p1", "u1", b"again")
    assert blobs.get("p1", "u1") == b"again"
    assert blobs.people() == ["p1", "p2"]
    assert blobs.names("p1") == ["u1", "u12", "u2"]
    blobs.remove("p1", "u1")
    blobs.remove("p1", "u1")
    assert blobs.names("p1") == ["u12", "u2"]
    with pytest.raises(FileNotFoundError):
        blobs.get("p1", "u1")
    blobs.remove_all("p1")
    blobs.remove_all("p1")
    assert (blobs.people(), blobs.get("p2", "u1")) == (["p2"], b"p2 u1")


def test_nothing_is_left_of_what_was_overwritten_or_deleted(bucket: str) -> None:
    """Not by this program, nor what another deleted before."""
    keep_versions(bucket)
    blobs = blobs_at(f"s3://{bucket}")
    blobs.put("p1", "u1", b"one")
    blobs.put("p1", "u1", b"two")
    client().delete_object(Bucket=bucket, Key="p1/u1")
    assert (n_left(bucket), blobs.names("p1")) == (3, ["u1"])
    blobs.remove("p1", "u1")
    assert n_left(bucket) == 0


def test_a_bucket_that_does_not_let_go_is_refused(bucket: str, tmp_path: Path) -> None:
    """Before a store begins; and so is one that is not there, or no bucket."""
    locked = f"{bucket}-locked"
    client().create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    client().put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    for url in (f"s3://{locked}/x", f"s3://{bucket}-none"):
        with pytest.raises(ConfigError, match="what is removed from a bucket must be gone"):
            Store.open(tmp_path / "people", blobs=url)
    for url in ("gs://bucket", "s3://", "https://host/x"):
        with pytest.raises(ConfigError, match="versions are kept in a folder or in S3"):
            Store.open(tmp_path / "people", blobs=url)
    assert not (tmp_path / "people").exists()


def test_a_store_in_a_bucket_forgets_there(bucket: str, days: Path, tmp_path: Path) -> None:
    """All versions of the object; while the bucket is away it is pending, and goes on later."""
    keep_versions(bucket)
    place, builder = tmp_path / "people", FakeBuilder()
    with Store.open(place, blobs=f"s3://{bucket}/people", builder=builder) as store:
        ada = store.person("ada")
        ada.remember(days)
        ada.update()
    with Store.open(place, builder=builder) as store, pytest.MonkeyPatch.context() as away:
        ada = store.person("ada")
        (blob,) = store._site.blobs.names(ada._who().uid)
        away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        with pytest.raises(StorageError, match="the store's bucket must be reachable"):
            blobs_at(f"s3://{bucket}/people").get("p1", "u1")
    with Store.open(place, builder=builder) as store:
        ada, site = store.person("ada"), store._site
        while_away = Store(replace(site, blobs=Away(f"s3://{bucket}/people")))
        with pytest.raises(PendingError, match="their keys are destroyed"):
            while_away.person("ada").forget(like="day number 7")
        assert (ada.log().head, n_left(bucket)) == (None, 1)
        certificate = ada.resume()
        assert certificate is not None
        assert site.blobs.names(ada._who().uid) != [blob]
        assert (ada.log().head, n_left(bucket)) == (2, 1)
        client().delete_object(Bucket=bucket, Key=f"people/{ada._who().uid}/{blob}")
        assert ada.forget(everything=True).verdict == "forgotten"
        assert store.gc().blobs <= 1
        assert n_left(bucket) == 0


def test_a_version_that_is_not_in_the_bucket_any_more(bucket: str, days: Path) -> None:
    """It is refused by what is missing; `check` names it."""
    with Store.open(days.parent / "people", blobs=f"s3://{bucket}", builder=FakeBuilder()) as store:
        ada = store.person("ada")
        ada.remember(days)
        ada.update()
        uid = ada._who().uid
        store._site.blobs.remove_all(uid)
        with pytest.raises(IntegrityError, match="a version's file must be there"):
            ada.check()
        assert store.check().broken == ("ada: v1 has no blob",)
