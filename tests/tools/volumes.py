"""Reads volumes of files by TensorStore, and those of Zarr by `zarr` too."""

import hashlib

import tensorstore
import zarr

from lines import serve

DRIVERS = {"zarr2": "zarr", "zarr3": "zarr3", "precomputed": "neuroglancer_precomputed"}


def by_tensorstore(folder, scheme):
    store = {"driver": "file", "path": folder.rstrip("/") + "/"}
    array = tensorstore.open({"driver": DRIVERS[scheme], "kvstore": store}, open=True).result()
    voxels = array.read().result()
    # Precomputed volumes have a channel last, and x first.
    return voxels[..., 0].T if scheme == "precomputed" else voxels


def by_zarr(folder):
    return zarr.open_array(folder, mode="r")[...]


def seen(voxels):
    """Voxels with x fastest: their shape, and a digest of their bytes."""
    little = voxels.astype(voxels.dtype.newbyteorder("<"))
    return {"shape": list(voxels.shape), "type": voxels.dtype.name, "sha256": hashlib.sha256(little.tobytes("C")).hexdigest()}


def answer(request):
    folder, scheme = request["folder"], request["scheme"]
    found = {"tensorstore": seen(by_tensorstore(folder, scheme))}
    if scheme != "precomputed":
        found["zarr"] = seen(by_zarr(folder))
    return found


serve(answer)
