#!/usr/bin/env python
"""Many photos to one table: does memory stay where it is, does the work survive being killed, does Ray say the same?

    python benchmarks/bulk.py [--n 50000] [--small 5000] [--on-ray 2000]

Photos are hard links (or symbolic ones) to a thousand of the real faces in FFON_SHARED, over and over, with one file in 250 that is no image; they lie in subfolders of a temporary folder. Everything is measured in processes of its own:

- the peak of resident memory of `score_folder` over `--small` and over `--n` photos, and the CPU seconds it takes beside the bare `iter_predict` over the same `--small` photos;
- the `--n` photos again, killed without warning (SIGKILL) twice, at moments drawn at random after a quarter and after a half of the parts, and resumed: each photo once, and the table the same, byte by byte;
- the first `--on-ray` photos on Ray Data, started here, compared row by row with a run without it.

Ends with status 1, and says which, where a goal is missed: memory within 10 % of that of the small run, each photo once after being killed, the same table, the same on Ray."""
import argparse, csv, json, os, random, signal, subprocess, sys, tempfile, time
from collections import Counter
from pathlib import Path

from common import need, peak_mib, result, say, shared_dir

def child(how, src, out):
    "One run; its last line is JSON"
    from face_fake_or_not.bulk import score_folder
    from face_fake_or_not.detector import load_detector
    start, cpu = time.perf_counter(), time.process_time()
    if how == 'bare':
        from face_fake_or_not.decode import image_files
        n = sum(1 for _ in load_detector().iter_predict(image_files(src)))
    else: n = score_folder(src, out, ray=how == 'ray').rows
    print(json.dumps(dict(rows=n, seconds=time.perf_counter() - start, cpu=time.process_time() - cpu, mib=peak_mib())))

def start(how, src, out):
    "A run in its process"
    return subprocess.Popen([sys.executable, __file__, '--child', how, str(src), str(out)], stdout=subprocess.PIPE, text=True)

def run(how, src, out=''):
    "A run to its end, and what it measured"
    p = start(how, src, out)
    text, _ = p.communicate()
    if p.returncode: sys.exit(f'{how} over {src} failed')
    found = json.loads(text.splitlines()[-1])
    say(f'{how}: {found["rows"]} rows in {found["seconds"]:.0f} s, CPU {found["cpu"]:.0f} s, peak {found["mib"]:.0f} MiB')
    return found

def link(photos, folder, n):
    "A folder of `n` photos"
    for i in range(n):
        f = folder/f'{i // 1000:03}'/f'{i:06}{photos[i % len(photos)].suffix}'
        f.parent.mkdir(parents=True, exist_ok=True)
        if i % 250 == 249: f.write_bytes(b'not an image')
        else:
            try: os.link(photos[i % len(photos)].resolve(), f)
            except OSError: os.symlink(photos[i % len(photos)].resolve(), f)
    return folder

def killed(src, out, n, part, rng):
    "A run that is killed twice on its way, and resumed; how many parts were there each time"
    there = []
    for share in (.25, .5):
        p, want = start('here', src, out), max(int(share * n / part), 1 + (there[-1] if there else 0))
        while p.poll() is None and len(list(out.parent.glob(f'.{out.name}.parts/0*.parquet'))) < want: time.sleep(.05)
        time.sleep(rng.uniform(0, 3))
        if p.poll() is not None: sys.exit('the run ended before it could be killed: more photos are needed (--n)')
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
        there.append(len(list(out.parent.glob(f'.{out.name}.parts/0*.parquet'))))
        say(f'killed with {there[-1]} parts done')
    return there, run('here', src, out)

def table(path):
    "Rows of a table"
    with open(path, newline='', encoding='utf8') as f: return list(csv.DictReader(f))

def main():
    "Measure; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=50_000)
    p.add_argument('--small', type=int, default=5_000)
    p.add_argument('--on-ray', type=int, default=2_000, help='0: leave Ray out')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--child', nargs=3, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.child: return child(*args.child)
    rng, data = random.Random(args.seed), need(shared_dir()/'data', 'The folder of real faces')
    photos = sorted(f for f in data.rglob('*') if f.suffix in ('.jpg', '.png'))
    photos = rng.sample(photos, min(1000, len(photos)))
    with tempfile.TemporaryDirectory(dir=os.environ.get('TMPDIR')) as tmp:
        tmp = Path(tmp)
        many, few = link(photos, tmp/'many', args.n), link(photos, tmp/'few', args.small)
        bare, small = run('bare', few), run('here', few, tmp/'small.csv')
        large = run('here', many, tmp/'large.csv')
        parts, again = killed(many, tmp/'killed.csv', args.n, 1024, rng)
        rows, once = table(tmp/'large.csv'), Counter(r['path'] for r in table(tmp/'killed.csv'))
        figures = dict(n=args.n, small=args.small, mib_small=small['mib'], mib_large=large['mib'], memory_ratio=large['mib'] / small['mib'],
                       cpu_beside_bare=small['cpu'] / bare['cpu'], per_second=large['rows'] / large['seconds'], errors=sum(r['error'] != '' for r in rows),
                       killed_at_parts=parts, resumed_rows=again['rows'], each_once=len(once) == args.n and set(once.values()) == {1},
                       same_table=(tmp/'large.csv').read_bytes() == (tmp/'killed.csv').read_bytes(), left_over=sorted(f.name for f in tmp.iterdir() if f.name.startswith('.')))
        if args.on_ray: figures |= on_ray(photos, tmp, args.on_ray)
    missed = missed_goals(figures)
    result('bulk', cores=os.cpu_count(), **{k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}, missed=missed)
    if missed: sys.exit(f'missed: {", ".join(missed)}')

def missed_goals(figures):
    "Names of the goals that were not reached"
    met = dict(memory_ratio=figures['memory_ratio'] <= 1.1, each_once=figures['each_once'], same_table=figures['same_table'], left_over=not figures['left_over'])
    if 'n_ray' in figures: met |= dict(ray_same_table=figures['ray_same_table'], ray_largest_difference=figures['ray_largest_difference'] == 0, ray_only_one_has_score=figures['ray_only_one_has_score'] == 0)
    return [k for k, ok in met.items() if not ok]

def on_ray(photos, tmp, n):
    "The same photos with and without Ray"
    src = link(photos, tmp/'ray', n)
    here, there = run('here', src, tmp/'here.csv'), run('ray', src, tmp/'ray.csv')
    a, b = table(tmp/'here.csv'), table(tmp/'ray.csv')
    scores = [(x['score'], y['score']) for x, y in zip(a, b, strict=True)]
    off = [abs(float(x) - float(y)) for x, y in scores if x and y]
    return dict(n_ray=n, ray_compared=len(off), ray_only_one_has_score=sum(bool(x) != bool(y) for x, y in scores), ray_same_table=(tmp/'here.csv').read_bytes() == (tmp/'ray.csv').read_bytes(), ray_largest_difference=max(off, default=None), ray_seconds=there['seconds'], here_seconds=here['seconds'])

if __name__ == '__main__': main()
