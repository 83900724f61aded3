using System.Text;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>A text that a template makes, which remembers what in it is the template's own and what somebody else's words.</summary>
internal sealed class TemplatedText
{
    private readonly StringBuilder _text = new();
    private readonly List<Range> _contents = [];

    /// <summary>The whole text.</summary>
    public string Text => _text.ToString();

    /// <summary>The stretches that are not the template's, in their order.</summary>
    public IReadOnlyList<Range> Contents => _contents;

    /// <summary>Appends words of the template.</summary>
    public TemplatedText Append(string? words)
    {
        _text.Append(words);
        return this;
    }

    /// <summary>Appends another text, with what in it is whose.</summary>
    public TemplatedText Append(TemplatedText other)
    {
        int start = _text.Length;
        _contents.AddRange(other._contents.Select(range => (start + range.Start.Value)..(start + range.End.Value)));
        _text.Append(other._text);
        return this;
    }

    /// <summary>Appends somebody's words.</summary>
    public TemplatedText AppendContent(string words)
    {
        _contents.Add(_text.Length..(_text.Length + words.Length));
        _text.Append(words);
        return this;
    }
}
