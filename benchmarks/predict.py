#!/usr/bin/env python
"""How fast the runtime judges photos, beside the other ways to run the same network. One run, the same photos for everybody, contenders in turn.

- cold: one photo from nothing, `face-fake-or-not predict photo --json` against `load_learner` and `predict` of fastai, each in a new process.
- warm: one photo at a time, `Detector.predict` against the sum of its parts (decode and prepare, ONNX session), for small photos and one of 12 megapixels.
- folder: `--n` photos. Ours; fastai `learn.predict` in a loop; fastai `get_preds`; a plain torch loop (open, resize, forward, one at a time, as seed 004 does it); the image-classification
  pipeline of transformers, where that is installed; and the limit, bare ONNX sessions on arrays that are ready.
- prepare: what the parts of the preprocessing cost, and what is saved by working out only what the network's window needs.

Goals: cold at most 1/8 of fastai; warm at most 1.15 of the parts; folder at least 0.9 of cores / (decode + prepare + session), and at least 5 times the `learn.predict` loop.

`python benchmarks/predict.py` needs the photos in FFON_SHARED; `--n 40 --repeats 2` is a trial. `--export RUN/export.pkl --detector RUN/bundle` measures another detector than the embedded one.
"""
import argparse, itertools, json, os, random, statistics, subprocess, sys, tempfile, time, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from common import need, peak_mib, result, say, shared_dir
from face_fake_or_not.core import FAKE, n_cores
from face_fake_or_not.decode import open_image, to_rgb
from face_fake_or_not.image import Spec, crop_at, fit, look, native_short, prepare, scale_short
from face_fake_or_not.runtime import EMBEDDED, Detector

FASTAI = "import sys, warnings; warnings.simplefilter('ignore'); from fastai.learner import load_learner; print(load_learner(sys.argv[1]).predict(sys.argv[2]))"
OURS = 'from face_fake_or_not.cli import main; main()'
GOALS = dict(cold=1/8, warm=1.15, folder_of_limit=.9, folder_over_loop=5)

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=1000, help='photos in the folder')
    p.add_argument('--blocks', type=int, default=4, help='parts of the folder, between which the contenders take turns')
    p.add_argument('--repeats', type=int, default=5, help='cold starts')
    p.add_argument('--rounds', type=int, default=1, help='times that the folder is judged by each')
    p.add_argument('--detector', type=Path, default=EMBEDDED, help='a bundle')
    p.add_argument('--export', type=Path, help='its export.pkl; made from the bundle where it is not given')
    p.add_argument('--data', type=Path, default=shared_dir()/'data')
    return p.parse_args()

def some_photos(data, n):
    "`n` of the photos, drawn once and for all"
    paths = [str(data/p) for p in pd.read_csv(need(data/'items.csv', 'The list of photos')).path]
    return random.Random(0).choices(paths, k=n) if n > len(paths) else random.Random(0).sample(paths, n)

def large_photo(path):
    "A drawn photo of 12 megapixels with fine detail, about as large a file as a phone writes"
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize((4032, 3024), Image.Resampling.BICUBIC)
    Image.fromarray((np.asarray(coarse) + rng.normal(0, 6, (3024, 4032, 1))).clip(0, 255).astype(np.uint8)).save(path, 'JPEG', quality=88)
    return str(path)

def seconds(f, *args):
    "Wall time of a call"
    start = time.perf_counter()
    f(*args)
    return time.perf_counter() - start

def process(*command):
    "Run a process that must succeed"
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)

def loaded():
    "Heavy modules that loading and asking the runtime brings in"
    code = "import sys, json; from face_fake_or_not.detector import load_detector; load_detector(); print(json.dumps(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'fastai'})))"
    return json.loads(subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout)

def cold(args, export, photo):
    "One photo from nothing, in turn; the first pair warms the disk for both"
    times = dict(ours=[], fastai=[])
    for i in range(args.repeats + 1):
        times['ours'].append(seconds(process, sys.executable, '-c', OURS, 'predict', photo, '--json', '--detector', str(args.detector)))
        times['fastai'].append(seconds(process, sys.executable, '-c', FASTAI, str(export), photo))
        say(f"cold {i}: ours {times['ours'][-1]:.2f} s, fastai {times['fastai'][-1]:.2f} s")
    mid = {k: statistics.median(v[1:]) for k, v in times.items()}
    pairs = sorted(a / b for a, b in zip(times['ours'][1:], times['fastai'][1:]))
    return {f'{k}_s': round(v, 3) for k, v in mid.items()} | dict(ratio=round(statistics.median(pairs), 4), ratios=[round(r, 4) for r in (pairs[0], pairs[-1])], torch_or_fastai_loaded=loaded())

def best(calls, rounds):
    "Least seconds of each call, taken in turn; the least counts, since other work on the machine only adds"
    return np.min([[seconds(f) for f in calls] for _ in range(rounds)], 0)

def warm(detector, photos, large, rounds=15):
    "One photo at a time: the whole against its parts"
    rows = []
    for p in [*photos, large]:
        pixels = prepare(p, detector.spec)
        calls = [lambda: detector.predict(p), lambda: prepare(p, detector.spec), lambda: detector._probs([pixels]), lambda: detector.predict(p, evidence=False)]
        rows.append(best(calls, rounds))
    whole, ready, network, bare = np.array(rows).T
    ratios = whole / (ready + network)
    ms = lambda o: round(1000 * float(o), 2)
    return dict(n=len(photos), predict_ms=ms(np.median(whole[:-1])), prepare_ms=ms(np.median(ready[:-1])), session_ms=ms(np.median(network[:-1])), ratio=round(float(np.median(ratios[:-1])), 3), worst_ratio=round(float(ratios[:-1].max()), 3),
                ratio_without_evidence=round(float(np.median((bare / (ready + network))[:-1])), 3), large=dict(predict_ms=ms(whole[-1]), prepare_ms=ms(ready[-1]), session_ms=ms(network[-1]), ratio=round(float(ratios[-1]), 3)))

def old_fit(im, spec):
    "`fit` of policy native as it was: all of the photo is resized, then most is cut off"
    return crop_at(scale_short(im, native_short(min(im.size), spec)), spec.size)

def preparing(detector, photos, large, rounds=9):
    "Milliseconds of each part of the preprocessing, and of the resize as it was: the least of `rounds` for each photo, mean over photos"
    out, spec = {}, Spec(detector.spec.size, 'native', detector.spec.max_short)
    for name, paths in dict(small=photos, large=[large]).items():
        rows, same = [], 0
        for p in paths:
            im = to_rgb(open_image(p))
            calls = dict(decode=lambda: to_rgb(open_image(p)), fit=lambda: fit(im, spec), fit_before=lambda: old_fit(im, spec), prepare=lambda: prepare(p, spec), look=lambda: look(p, spec))
            rows.append(best(calls.values(), rounds))
            same += fit(im, spec).tobytes() == old_fit(im, spec).tobytes()
        least = dict(zip(calls, np.mean(rows, 0) * 1000))
        out[name] = {k: round(float(v), 3) for k, v in least.items()} | dict(n=len(paths), same_pixels=same, prepare_saved=round(1 - least['prepare'] / (least['prepare'] - least['fit'] + least['fit_before']), 3))
    return out

def learner_and_export(args, tmp):
    "The fastai learner of the same network, and its export.pkl"
    from fastai.learner import load_learner
    from face_fake_or_not.export import bundle_learner
    export = args.export or Path(tmp)/'export.pkl'
    if not args.export:
        learn = bundle_learner(args.detector)
        learn.path = export.parent
        learn.export(export.name)
    return load_learner(export), export

def batches(learn, paths, fake, workers):
    "fastai's `get_preds`"
    dl = learn.dls.test_dl(paths, bs=64, num_workers=workers)
    with learn.no_bar(): return learn.get_preds(dl=dl)[0][:, fake].tolist()

def one_by_one(learn, paths, fake):
    "fastai's `learn.predict` in a loop"
    with learn.no_bar(): return [float(learn.predict(p)[2][fake]) for p in paths]

def plain_loop(learn, spec, fake):
    "Open, resize, forward, one at a time, as seed 004 serves its network"
    import torch
    from torchvision.transforms import v2
    t = v2.Compose([v2.Resize((spec.size, spec.size)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([.5]*3, [.5]*3)])
    model = learn.model.eval()
    def ask(p):
        with torch.no_grad(): return float(model(t(Image.open(p).convert('RGB'))[None]).softmax(1)[0, fake])
    return lambda paths: [ask(p) for p in paths]

def hf_pipeline(learn, info, spec):
    "The image-classification pipeline of transformers with the same network, without the mirrored pass; or the reason why not"
    try:
        from transformers import TimmWrapperConfig, TimmWrapperForImageClassification, TimmWrapperImageProcessor, pipeline
        config = TimmWrapperConfig(architecture=info['arch'], num_labels=2, model_args=info['kwargs'], id2label=dict(enumerate(info['vocab'])))
        model = TimmWrapperForImageClassification(config).eval()
        state = {k.removeprefix('0.model.').removeprefix('0.'): v for k, v in learn.model.state_dict().items() if k.startswith('0.')}
        names = [k for k in model.timm_model.state_dict() if k not in state]
        state |= dict(zip(names, [v for k, v in learn.model.state_dict().items() if k.startswith('1.')]))
        model.timm_model.load_state_dict(state)
        ready = TimmWrapperImageProcessor(dict(input_size=(3, spec.size, spec.size), mean=info['mean'], std=info['std'], interpolation='bicubic', crop_pct=160/192), architecture=info['arch'])
        return pipeline('image-classification', model=model, image_processor=ready), None
    except Exception as e: return None, f'{type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ""}'

def contenders(detector, learn, spec):
    "Name -> function from paths to scores; and why one is missing"
    fake, skipped = list(learn.dls.vocab).index(FAKE), {}
    out = {'ours': lambda paths: [p.score for p in detector.iter_predict(paths)], 'fastai predict': lambda paths: one_by_one(learn, paths, fake),
           'fastai get_preds': lambda paths: batches(learn, paths, fake, 0), f'fastai get_preds, {n_cores()} workers': lambda paths: batches(learn, paths, fake, n_cores()),
           'torch loop': plain_loop(learn, spec, fake)}
    pipe, why = hf_pipeline(learn, detector.info, spec)
    if pipe: out['transformers'] = lambda paths: [next(o['score'] for o in r if o['label'] == FAKE) for r in pipe(paths, batch_size=1)]
    else: skipped['transformers'] = why
    return out, skipped

def bare(detector, arrays):
    "The limit: sessions on arrays that are ready, side by side on all cores"
    with ThreadPoolExecutor(n_cores()) as ex: return list(itertools.chain(*ex.map(detector._probs, [arrays[i:i+4] for i in range(0, len(arrays), 4)])))

def parts_of(detector, paths, arrays):
    "Seconds of decode, prepare and session for these photos, one after the other in one thread, and what processor time they took"
    start = time.process_time()
    wall = seconds(lambda: [prepare(p, detector.spec) for p in paths]), seconds(lambda: [detector._probs([a]) for a in arrays])
    return dict(zip(('prepare_s', 'session_s', 'parts_cpu_s'), (*wall, time.process_time() - start)))

def folder(args, detector, learn, photos):
    "Photos a second of each contender, block by block in turn; ratios within a block, median over the blocks"
    found, skipped = contenders(detector, learn, detector.spec)
    for f in found.values(): f(photos[:8])                                        # warm
    blocks, rows, scores = np.array_split(photos, args.blocks), [], {}
    for r, (i, block) in itertools.product(range(args.rounds), enumerate(blocks)):
        paths = [str(p) for p in block]
        arrays, row, names = [prepare(p, detector.spec) for p in paths], {}, list(found)
        for name in names[(r + i) % len(names):] + names[:(r + i) % len(names)] + ['limit', 'parts']:
            if name == 'parts': row |= parts_of(detector, paths, arrays)
            elif name == 'limit': row[name] = seconds(bare, detector, arrays)
            else:
                start = time.process_time()
                row[name] = seconds(lambda: scores.setdefault(name, {}).update(zip(paths, found[name](paths))))
                if name == 'ours': row['ours_cpu_s'] = time.process_time() - start
        rows.append({k: v / len(paths) for k, v in row.items()})
        say(f'folder {len(rows)}: ' + ', '.join(f'{k} {1000 * v:.1f} ms' for k, v in rows[-1].items()) + f', load {os.getloadavg()[0]:.1f}')
    return summary(pd.DataFrame(rows), scores) | dict(n=len(photos), skipped=skipped)

def summary(t, scores):
    "What the rows say"
    mid, names, cores = t.median(), [c for c in t if not c.endswith('_s')], n_cores()
    over = lambda a, b: round(float((a / b).median()), 3)
    limit = (t.prepare_s + t.session_s) / cores
    gap = {k: round(float(max(abs(scores['ours'][p] - v[p]) for p in v)), 7) for k, v in scores.items() if k.startswith('fastai')}
    least = t[names].min()                                                       # other work on the machine only adds, and to torch's threads, which wait in a loop, most
    return dict(rate={k: round(1 / mid[k], 1) for k in names}, best_rate={k: round(1 / least[k], 1) for k in names}, over_at_best={k: round(float(least[k] / least['ours']), 2) for k in names if k not in ('ours', 'limit')}, ms={k: round(1000 * mid[k], 2) for k in ('prepare_s', 'session_s')}, of_limit=over(limit, t.ours), of_limit_range=[round(float(o), 3) for o in ((limit / t.ours).min(), (limit / t.ours).max())],
                of_limit_by_processor_time=over(t.parts_cpu_s, t.ours_cpu_s), of_bare_sessions=over(t.limit, t.ours), over={k: over(t[k], t.ours) for k in names if k not in ('ours', 'limit')}, blocks=len(t), largest_difference_of_scores=gap)

def main():
    "All four; the last line is JSON"
    args = parse_args()
    warnings.simplefilter('ignore')
    load = [round(o, 1) for o in os.getloadavg()]
    with tempfile.TemporaryDirectory() as tmp:
        photos, large = some_photos(args.data, args.n), large_photo(Path(tmp)/'large.jpg')
        detector = Detector(args.detector).warm_up()
        figures = dict(warm=warm(detector, photos[:60], large), prepare=preparing(detector, photos[:200], large))
        say(json.dumps(figures))
        learn, export = learner_and_export(args, tmp)
        figures['cold'] = cold(args, export, photos[0])
        figures['folder'] = folder(args, detector, learn, photos)
    met = dict(cold=figures['cold']['ratio'] <= GOALS['cold'], warm=figures['warm']['ratio'] <= GOALS['warm'], warm_large=figures['warm']['large']['ratio'] <= GOALS['warm'], folder_of_limit=figures['folder']['of_limit'] >= GOALS['folder_of_limit'],
               folder_over_loop=figures['folder']['over']['fastai predict'] >= GOALS['folder_over_loop'])
    result('predict', **figures, met=met, cores=n_cores(), load_before=load, load_after=[round(o, 1) for o in os.getloadavg()], peak_mib=round(peak_mib()))

if __name__ == '__main__': main()
