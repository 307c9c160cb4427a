#!/bin/sh
# Fetches viewers as their projects publish them, and builds Neuroglancer from its library: into
# built/, one folder each, unmodified. ../install.sh calls it where that is missing or old.
set -eu
cd "$(dirname "$0")"

JANELIA=2.37.5
OPENSEADRAGON=6.1.1
ITK_VTK=14.51.0

main() {
    rm -rf built archives
    mkdir -p built archives
    archives
    wheel
    janelia
    openseadragon
    itk_vtk
    library
    rm -r archives node_modules
    cat fetch.sh package-lock.json archives.sha256 rsbuild.config.mjs main.js openseadragon.html >built/.installed
}

archives() (
    cd archives
    npm pack --silent "@janelia-flyem/neuroglancer@$JANELIA" "openseadragon@$OPENSEADRAGON" "itk-vtk-viewer@$ITK_VTK" >/dev/null
    sha256sum --quiet --strict -c ../archives.sha256
)

# The client that Python's neuroglancer serves under /v/TOKEN/, as the demo shows it.
wheel() {
    client=$(sh ../../../src/demo/neuroglancer.sh)
    cp -R "$client" built/wheel
}

# An older build, whose names carry no hash.
janelia() {
    unpack janelia-flyem-neuroglancer dist/min
    mv archives/dist/min built/janelia
    rm built/janelia/*.map
}

openseadragon() {
    unpack openseadragon build/openseadragon
    mkdir built/openseadragon
    mv archives/build/openseadragon/openseadragon.min.js archives/build/openseadragon/images built/openseadragon
    cp openseadragon.html built/openseadragon/index.html
}

# Without the readers and writers of other file formats, which are nine tenths of it.
itk_vtk() {
    unpack itk-vtk-viewer dist
    mv archives/dist built/itk-vtk
    rm -r built/itk-vtk/itk/image-io built/itk-vtk/itk/mesh-io built/itk-vtk/itkVtkViewerCDN.js
}

# unpack PACKAGE FOLDER: of an npm package.
unpack() {
    tar -xzf "archives/$1"-*.tgz -C archives --strip-components 1 "package/$2"
}

library() {
    # It asks for Node.js 22, which it needs for nothing that this build does.
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
    ./node_modules/.bin/rsbuild build --log-level error
    MODULES=1 ./node_modules/.bin/rsbuild build --log-level error
}

main
