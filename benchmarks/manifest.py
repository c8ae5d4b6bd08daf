#!/usr/bin/env python
"""A manifest of a million rows: built from a folder, a CSV and Parquet, split, filtered and saved, each step in seconds, and the peak memory.

`python benchmarks/manifest.py` runs a tenth of the rows and all of them, each in a new process, and reports how time grows; about linear means a ratio near 10.
The folder holds empty files, so nothing is decoded (`check=False`): decoding is measured on images, as a rate, where FFON_SHARED is there."""
import argparse, json, subprocess, sys, tempfile, time
from pathlib import Path

from common import peak_mib, result, say, shared_dir

def timed(figures, name, f, *args, **kwargs):
    "Run `f` and note its seconds"
    start = time.perf_counter()
    out = f(*args, **kwargs)
    figures[name] = round(time.perf_counter() - start, 2)
    return out

def made_folder(root, n):
    "A tree of `n` empty files: 20 domains of both classes, 1,000 files a folder"
    for i in range(0, n, 1000):
        d = root/f'domain{i//1000 % 20}'/('real', 'fake')[i//20_000 % 2]/f'part{i//40_000}'
        d.mkdir(parents=True, exist_ok=True)
        for j in range(i, min(i + 1000, n)): (d/f'{j:07}.jpg').touch()

def measure(n, folder):
    "All steps on `n` rows"
    import pandas as pd
    from face_fake_or_not.items import face_items, save_items, split_items
    peak = lambda: round(peak_mib() / 1024, 3)
    figures = dict(rows=n, imported_gib=peak())
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        if folder:
            made_folder(tmp/'photos', n)
            items = timed(figures, 'from_folder_s', face_items, tmp/'photos', check=False)
        else:
            items = pd.DataFrame(dict(path=[f'photos/part{i//1000}/{i:07}.jpg' for i in range(n)], label=['real', 'fake'] * (n//2), domain=[f'domain{i//1000 % 20}' for i in range(n)], split='', group=''))
        timed(figures, 'save_csv_s', save_items, items, tmp/'items.csv')
        timed(figures, 'save_parquet_s', save_items, items, tmp/'items.parquet')
        timed(figures, 'from_csv_s', face_items, csv=tmp/'items.csv', check=False)
        items = timed(figures, 'from_parquet_s', face_items, csv=tmp/'items.parquet', check=False)
        items = timed(figures, 'split_s', split_items, items)
        few = timed(figures, 'filter_s', items.query, "label == 'fake' and split == 'test'")
        figures |= dict(frame_gib=round(items.memory_usage(deep=True).sum() / 1024**3, 3), filtered=len(few), shares=items.split.value_counts(normalize=True).round(4).to_dict(), peak_gib=peak())
    return figures

def decoded():
    "Images a second that the check of `face_items` decodes, with one thread and with all"
    from face_fake_or_not.items import face_items
    data, out = shared_dir()/'data'/'items.csv', {}
    if not data.is_file(): return out
    for name, workers in (('one_thread_s', 1), ('all_threads_s', None)): items = timed(out, name, face_items, csv=data, workers=workers)
    return out | dict(images=len(items), gain=round(out['one_thread_s'] / out['all_threads_s'], 2))

def main():
    "Measure in child processes; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--rows', type=int, default=1_000_000)
    p.add_argument('--no-folder', action='store_true', help='build no tree of empty files')
    p.add_argument('--child', type=int, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.child: return print(json.dumps(measure(args.child, not args.no_folder)))
    runs = []
    for n in (args.rows // 10, args.rows):
        done = subprocess.run([sys.executable, __file__, '--child', str(n)] + ['--no-folder'] * args.no_folder, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
        say(runs[-1])
    growth = {k: round(runs[1][k] / max(runs[0][k], .01), 1) for k in runs[0] if k.endswith('_s')}
    result('manifest', runs=runs, growth=growth, check=decoded())

if __name__ == '__main__': main()
