#!/usr/bin/env python
"""A data set with known faults, made from real photos of FFON_SHARED: does `audit` find every one, and invent none?

Planted: reals are PNG and fakes JPEG; 40 photos of the test split have a near-duplicate in train (saved again, resized, brightened or cropped a little); 5 broken files; one domain with one class.
The same photos without the faults are audited beside it."""
import argparse, random, shutil, tempfile, warnings
from pathlib import Path

from PIL import Image, ImageEnhance

from common import need, result, say, shared_dir
from face_fake_or_not.audit import audit
from face_fake_or_not.duplicates import find_duplicates
from face_fake_or_not.decode import open_image, to_rgb
from face_fake_or_not.items import face_items

CHANGES = dict(saved=lambda im: im, smaller=lambda im: im.resize([round(v*.7) for v in im.size]), brighter=lambda im: ImageEnhance.Brightness(im).enhance(1.15),
               cropped=lambda im: im.crop([round(v*.02) for v in im.size] + [round(v*.98) for v in im.size]))

def build(root, photos, wrong):
    "Write the photos with or without the faults; the planted pairs"
    rng, pairs = random.Random(0), []
    for label, paths in photos.items():
        for i, p in enumerate(paths):
            domain = 'painter' if wrong and label == 'fake' and i >= len(paths) - 60 else 'mixed'
            f = root/('test' if i % 5 == 0 else 'valid' if i % 5 == 1 else 'train')/label/domain/(f'{p.stem}.png' if wrong and label == 'real' else f'{p.stem}.jpg')
            f.parent.mkdir(parents=True, exist_ok=True)
            to_rgb(open_image(p)).save(f) if wrong and label == 'real' else shutil.copyfile(p, f)
    if not wrong: return pairs
    for i, f in enumerate(rng.sample(sorted((root/'test').rglob('mixed/*.*')), 40)):
        kind = list(CHANGES)[i % 4]
        copy = root/'train'/f.parent.parent.name/'mixed'/f'copy{i}{f.suffix}'
        CHANGES[kind](Image.open(f).convert('RGB')).save(copy, quality=75)
        pairs.append((str(f), str(copy), kind))
    for i, raw in enumerate((b'', b'text', None, None, None)):
        f = root/'train'/'real'/'mixed'/f'broken{i}.png'
        f.write_bytes(raw if raw is not None else sorted((root/'train'/'real'/'mixed').glob('*.png'))[i].read_bytes()[:2000])
    return pairs

def look(root, photos, wrong, **kwargs):
    "Verdict, findings and what was found of the plants"
    pairs = build(root, photos, wrong)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        items = face_items(root)
    found = audit(items, faces=False, **kwargs)
    say(f'\n{found}')
    got = find_duplicates(items)
    across = {frozenset(p) for p in zip(got.path_a[got.across_splits], got.path_b[got.across_splits])}
    planted = {frozenset(p[:2]) for p in pairs}
    return dict(verdict=found.verdict, worst=found.worst, findings=[f'{l}: {t}' for l, t in found.findings], bad_files=len(items.attrs['bad']),
                copies_across_splits=len(across), planted=len(planted), planted_found=len(across & planted), invented=len(across - planted), missed=[p[2] for p in pairs if frozenset(p[:2]) not in across])

def main():
    "Audit both; the last line is JSON"
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    data = need(shared_dir()/'data', 'The folder of real faces')
    items = face_items(data, check=False)
    photos = {label: sorted(Path(p) for p in items.path[items.domain == domain])[:400] for label, domain in (('real', 'ffhq'), ('fake', 'stylegan1'))}
    with tempfile.TemporaryDirectory() as tmp:
        figures = {name: look(Path(tmp)/name, photos, wrong) for name, wrong in (('planted', True), ('without', False))}
    result('planted', n={k: len(v) for k, v in photos.items()}, **figures)

if __name__ == '__main__': main()
