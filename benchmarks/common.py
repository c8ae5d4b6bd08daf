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

def memory_mib(key='VmRSS', pid='self'):
    "What a process holds (VmRSS) or has held at most (VmHWM), in MiB; None where there is no /proc"
    status = Path(f'/proc/{pid}/status')
    if not status.exists(): return None
    return next((int(l.split()[1]) / 1024 for l in status.read_text().splitlines() if l.startswith(f'{key}:')), None)

def peak_mib():
    "The most memory this process has held, in MiB; not `ru_maxrss` where there is /proc, because a new process takes that over from its parent"
    if (held := memory_mib('VmHWM')) is not None: return held
    import resource                                           # Windows has none
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == 'darwin' else 1024)

def plain(table):
    "Rows of a table, ready for JSON"
    return [{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in table.astype(object).where(table.notna(), None).to_dict('records')]

def result(name, **figures):
    "The last line of a benchmark"
    print(json.dumps(dict(benchmark=name, **figures)))
