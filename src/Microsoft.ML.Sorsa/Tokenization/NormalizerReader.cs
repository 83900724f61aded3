namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Reads the normalizer of tokenizer.json.</summary>
internal sealed class NormalizerReader
{
    private readonly List<TextRewrite> _rewrites = [];

    private NormalizerReader()
    {
    }

    public IReadOnlyList<TextRewrite> Rewrites => _rewrites;

    public static NormalizerReader Read(JsonPart? part)
    {
        NormalizerReader reader = new();
        if (part is { } normalizer)
        {
            reader.Add(normalizer);
        }

        return reader;
    }

    /// <summary>Reads a Replace, which is both a normalizer and a decoder.</summary>
    public static ReplaceRewrite ReadReplace(JsonPart part)
    {
        part.AllowOnly("type", "pattern", "content");
        JsonPart pattern = part["pattern"];
        pattern.AllowOnly("String");
        string old = pattern["String"].Text;
        return old.Length > 0 ? new ReplaceRewrite(old, part["content"].Text) : throw pattern["String"].Invalid("must not be empty");
    }

    private void Add(JsonPart part)
    {
        switch (part.Type)
        {
            case "Sequence":
                part.AllowOnly("type", "normalizers");
                foreach (JsonPart item in part["normalizers"].Items)
                {
                    Add(item);
                }

                break;

            case "Prepend":
                part.AllowOnly("type", "prepend");
                _rewrites.Add(new PrependRewrite(part["prepend"].Text));
                break;

            case "Replace":
                _rewrites.Add(ReadReplace(part));
                break;

            default:
                throw part["type"].Unsupported("supported normalizers are Prepend, Replace (of a string) and Sequence");
        }
    }
}
