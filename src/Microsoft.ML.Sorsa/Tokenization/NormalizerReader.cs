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
