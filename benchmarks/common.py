"""What the benchmarks share: where real data lie, and how results are printed."""
import functools, json, os, sys
from pathlib import Path

say = functools.partial(print, file=sys.stderr, flush=True)   # bound to stderr here, so that standard output holds results alone

def shared_dir():
    "The folder of real data: `FFON_SHARED`, else `shared` beside the repository"
    return Path(os.environ.get('FFON_SHARED') or Path(__file__).resolve().parents[2]/'shared')

def need(path, what):
    "`path` when it exists, else an exit that says what to do"
    if not Path(path).exists(): sys.exit(f'{what} is missing: {path}. Real data are read from the folder FFON_SHARED names, else from shared/ beside the repository.')
    return Path(path)

def result(name, **figures):
    "The last line of a benchmark"
    print(json.dumps(dict(benchmark=name, **figures)))
