"""The markdown of answers, as safe HTML for the page, while it still streams.

    async with Renderer() as renderer:
        document = LiveDocument()
        document.append(delta)
        patch = await document.advance(renderer)

An answer is untrusted: a model, or a file that it read, may have written anything. Three things hold here whatever the
text is. What comes out has only the elements and attributes of `sanitising`. It comes in blocks, none of which takes a
browser longer than a frame (`limits`). And the work is about linear in the text, in a process of its own (`renderer`),
so that the server's loop is never held.

`blocks` is the pure part: text in, blocks out. `live` renders a growing text. `styles` writes the style sheet of
highlighted code.
"""
