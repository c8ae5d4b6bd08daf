"""What the benchmarks share: where real data lie, what memory a process took, and how results are printed."""
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

def peak_mib():
    "The most memory this process has held, in MiB"
    import resource                                           # Windows has none
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == 'darwin' else 1024)

def result(name, **figures):
    "The last line of a benchmark"
    print(json.dumps(dict(benchmark=name, **figures)))
