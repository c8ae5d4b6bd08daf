"Write README.md from nbs/index.ipynb, below the Space's front matter of tools/space.yml. `--check` only compares."
import posixpath, re, sys
from pathlib import Path

from fastcore.nbio import read_nb

ROOT = Path(__file__).resolve().parent.parent
NOTE = '<!-- Generated from nbs/index.ipynb by tools/readme.py: edit the notebook, not this file. -->'
LINK = re.compile(r'(\]\(|(?:src|href)=")(?![a-z]+:|[#/])([^)"\s]+)')

def root_link(m):
    "A link that works beside index.ipynb, made to work at the root; what is no file of ours stays as it is"
    path = posixpath.normpath('nbs/' + m[2])
    return m[1] + path if (ROOT/path.split('#')[0]).exists() else m[0]

def output_text(out):
    "Markdown for one output `out` of a code cell: text only, no figures and nothing from standard error"
    data = out.get('data', {})
    if 'text/markdown' in data: return data['text/markdown'].strip()
    if out.get('name') == 'stderr' or any(k.startswith('image/') for k in data): return ''
    text = re.sub(r'\x1b\[[\d;]*m', '', out.get('text') or data.get('text/plain', ''))
    return '\n'.join(f'    {l}'.rstrip() for l in text.rstrip().splitlines())

def cell_parts(cell):
    "The pieces of README that `cell` gives, if any"
    if 'hide' in cell.directives or cell.cell_type == 'raw': return []
    src = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M).strip()
    if cell.cell_type == 'markdown': return [LINK.sub(root_link, src)]
    shown = cell.directives.get('echo') != 'false' and src
    return ([f'```python\n{src}\n```'] if shown else []) + [output_text(o) for o in cell.outputs]

def render():
    "The whole text of README.md"
    front = (ROOT/'tools/space.yml').read_text(encoding='utf-8').strip()
    parts = [p for c in read_nb(ROOT/'nbs/index.ipynb').cells for p in cell_parts(c)]
    return '\n\n'.join([f'---\n{front}\n---', NOTE, *filter(None, parts)]) + '\n'

def in_sync():
    "Is README.md what `render` gives?"
    path = ROOT/'README.md'
    return path.exists() and path.read_text(encoding='utf-8') == render()

def main():
    if '--check' not in sys.argv: (ROOT/'README.md').write_text(render(), encoding='utf-8', newline='\n')
    elif not in_sync(): sys.exit('README.md differs from nbs/index.ipynb: run python tools/readme.py')

if __name__ == '__main__': main()
