"""Our model as an OpenAI-compatible endpoint, for Home Assistant and whatever else speaks that.

`request.py` reads what is asked, `tools.py` has functions called by a model that knows none,
`answer.py` puts the answer in OpenAI's form, `app.py` makes routes of them, `server.py` listens,
`connection.py` keeps the places for those who ask.
"""
