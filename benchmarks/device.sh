#!/usr/bin/env bash
# What is to be measured on a machine with one GPU, in one run of at most eight minutes: a trial at
# the shapes of a 7B model against peft, and answers of forced lengths with a memory and without.
#
#     OUT=results bash benchmarks/device.sh            # CUDA
#     OUT=results bash benchmarks/device.sh --tiny     # the same on this CPU, tiny: does it run?
#
# torch is the machine's own, of whichever Python has it. What else is missing comes from wheels in
# $WHEELS (.whl beside the tree), or else from pip, into a folder of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
OUT=$(mkdir -p "${OUT:-benchmarks/results}" && cd "${OUT:-benchmarks/results}" && pwd)
WHEELS=${WHEELS:-.whl}
started=$SECONDS

say() { echo "[$((SECONDS - started)) s] $*"; }

left() { # seconds until the end of the eight minutes, of at most so many
	local rest=$((480 - (SECONDS - started)))
	echo $((rest < $1 ? rest : $1))
}

python=""
for each in "${PYTHON:-}" .venv/bin/python python3 python; do
	if [ -n "$each" ] && "$each" -c 'import torch' 2> /dev/null; then
		python=$each
		break
	fi
done
[ -n "$python" ] || { echo "no Python here has torch: give one as PYTHON" >&2; exit 2; }

site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
export PYTHONPATH="$site:$PWD/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
missing() { # requirements of the project that are not met; torch is the machine's
	"$python" - <<-'CODE'
		import re, tomllib
		from importlib.metadata import PackageNotFoundError, version
		from packaging.requirements import Requirement
		project = tomllib.load(open("pyproject.toml", "rb"))["project"]
		wanted = [*project["dependencies"], *project["optional-dependencies"]["peft"]]
		for need in map(Requirement, (*wanted, "accelerate", "chitchat-dataset")):
		    try:
		        met = need.specifier.contains(version(need.name), prereleases=True)
		    except PackageNotFoundError:
		        met = False
		    if not met and need.name != "torch":
		        print(f"{need.name}{need.specifier}")
	CODE
}
install() { "$python" -m pip install --quiet --no-deps --no-compile --target "$site" "$@"; }
if compgen -G "$WHEELS/*.whl" > /dev/null; then
	install --no-index "$WHEELS"/*.whl
else
	mapfile -t needs < <(missing)
	[ ${#needs[@]} = 0 ] || install "${needs[@]}" || say "pip could not install ${needs[*]}"
fi
say "still missing: $(missing | paste -sd ' ')"
"$python" -c 'import torch; print("torch", torch.__version__, "CUDA", torch.cuda.is_available())'

if [ "${1:-}" = --tiny ]; then
	trial=(--device cpu --model tiny --dtype float32 --repeats 1 --warmups 0 --evaluated 4
		--max-new-tokens 8 --no-memory)
	decoding=(--device cpu --model tiny --batches 1 4 --tokens 16 --repeats 1)
else
	trial=(--device cuda --model llama-7b-shape --budget 200 --repeats 3 --no-memory)
	decoding=(--device cuda --model llama-7b-shape --batches 1 8 32 --tokens 128)
fi
failed=0
measure() { # what it is called, its seconds at most, and its command; one's failure leaves the other be
	say "$1"
	timeout "$(left "$2")" "$python" "${@:3}" --out "$OUT" || { say "failed: $1 (exit $?)"; failed=1; }
}
measure "a trial at the shapes of the model" 300 benchmarks/trial.py "${trial[@]}"
measure "answers of forced lengths" 180 benchmarks/decoding.py "${decoding[@]}" --budget 90
say "left out: several people's memories in one batch, which the engine cannot decode yet"
say "written to $OUT: $(cd "$OUT" && ls ./*.json 2> /dev/null | paste -sd ' ')"
exit $failed
