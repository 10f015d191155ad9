#!/bin/sh
# Open a rehearsal: sh scripts/demo.sh DIR IMAGE AUTO (each may be empty).
# Without DIR it is a new numbered folder under rehearsal/; none is ever written over.
set -eu
cd "$(dirname "$0")/.."
dir=$1 image=$2 auto=$3

if [ -z "$dir" ]; then
    n=1
    while [ -e "rehearsal/$n" ]; do n=$((n + 1)); done
    dir=rehearsal/$n
    mkdir -p rehearsal
fi
set -- rehearse "$dir"
[ -z "$image" ] || set -- "$@" --image "$image"
[ -z "$auto" ] || set -- "$@" --auto
status=0
.venv/bin/uki-ceremony "$@" || status=$?
case $status in
0) ;;
4) echo "Go on with it, unless it was aborted: make demo DIR=$dir"; exit 4 ;;
*) exit $status ;;
esac
[ -z "$auto" ] || { echo "Outputs in $dir/out:" && ls -l "$dir/out"; }
echo "Replay it: .venv/bin/uki-ceremony replay $dir/out"
