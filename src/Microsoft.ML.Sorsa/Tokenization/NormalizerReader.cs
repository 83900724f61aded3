using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Reads the normalizer of tokenizer.json.</summary>
internal sealed class NormalizerReader
{
    private readonly List<TextRewrite> _rewrites = [];

    private NormalizerReader()
    {
    }

    public IReadOnlyList<TextRewrite> Rewrites => _rewrites;

    public static NormalizerReader Read(JsonReader? json)
    {
        NormalizerReader reader = new();
        if (json is { } normalizer)
        {
            reader.Add(normalizer);
        }

        return reader;
    }

    /// <summary>Reads a Replace, which is both a normalizer and a decoder.</summary>
    public static ReplaceRewrite ReadReplace(JsonReader json)
    {
        json.AllowOnly("type", "pattern", "content");
        JsonReader pattern = json["pattern"];
        pattern.AllowOnly("String");
        string old = pattern["String"].Text;
        return old.Length > 0 ? new ReplaceRewrite(old, json["content"].Text) : throw pattern["String"].Invalid("must not be empty");
    }

    private void Add(JsonReader json)
    {
        switch (json.Type)
        {
            case "Sequence":
                json.AllowOnly("type", "normalizers");
                foreach (JsonReader item in json["normalizers"].Items)
                {
                    Add(item);
                }

                break;

            case "Prepend":
                json.AllowOnly("type", "prepend");
                _rewrites.Add(new PrependRewrite(json["prepend"].Text));
                break;

            case "Replace":
                _rewrites.Add(ReadReplace(json));
                break;

            case "NFC" or "NFD" or "NFKC" or "NFKD":
                json.AllowOnly("type");
                _rewrites.Add(new UnicodeRewrite(Composes: json.Type.EndsWith('C'), Compatibility: json.Type.Contains('K')));
                break;

            default:
                throw json["type"].Unsupported(
                    "supported normalizers are Prepend, Replace (of a string), NFC, NFD, NFKC, NFKD and Sequence");
        }
    }
}

/// <summary>A change of the text before it is cut: a normalizer, or the part of Metaspace that is one.</summary>
internal abstract record TextRewrite
{
    /// <param name="text">A stretch of text between special tokens; not empty at first.</param>
    /// <param name="atStart">Whether it begins where the whole text begins.</param>
    public abstract string Apply(string text, bool atStart);
}

/// <summary>The normalizer Prepend: an empty text stays empty.</summary>
internal sealed record PrependRewrite(string Prefix) : TextRewrite
{
    public override string Apply(string text, bool atStart) => text.Length == 0 ? text : Prefix + text;
}

/// <summary>The normalizer Replace with a plain string.</summary>
internal sealed record ReplaceRewrite(string Old, string New) : TextRewrite
{
    public override string Apply(string text, bool atStart) => text.Replace(Old, New, StringComparison.Ordinal);
}

/// <summary>
/// Metaspace: marks for spaces, and one in front of a text that does not begin with one: of each stretch, of the first only ("first" means
/// offset 0 of the whole text), or of none.
/// </summary>
internal sealed record MetaspaceRewrite(char Mark, MetaspacePrefix Prefix) : TextRewrite
{
    public override string Apply(string text, bool atStart)
    {
        string marked = text.Replace(' ', Mark);
        bool wanted = Prefix == MetaspacePrefix.Always || (Prefix == MetaspacePrefix.First && atStart);
        return wanted && marked.Length > 0 && marked[0] != Mark ? Mark + marked : marked;
    }
}

/// <summary>Where Metaspace puts a mark in front.</summary>
internal enum MetaspacePrefix
{
    Always,
    First,
    Never,
}
