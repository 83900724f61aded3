using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Reads the post-processor of tokenizer.json: the special tokens around a text. Pairs of texts are not encoded here.</summary>
internal sealed class TemplateReader
{
    private readonly List<int> _prefix = [];
    private readonly List<int> _suffix = [];
    private bool _templateSeen;

    private TemplateReader()
    {
    }

    public IReadOnlyList<int> Prefix => _prefix;

    public IReadOnlyList<int> Suffix => _suffix;

    public static TemplateReader Read(JsonReader? part)
    {
        TemplateReader reader = new();
        if (part is { } postProcessor)
        {
            reader.Add(postProcessor);
        }

        return reader;
    }

    private void Add(JsonReader part)
    {
        switch (part.Type)
        {
            case "Sequence":
                part.AllowOnly("type", "processors");
                foreach (JsonReader item in part["processors"].Items)
                {
                    Add(item);
                }

                break;

            case "ByteLevel":
                // It moves offsets only, which are not asked for here.
                part.AllowOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
                break;

            case "TemplateProcessing":
                AddTemplate(part);
                break;

            default:
                throw part["type"].Unsupported("supported post-processors are TemplateProcessing, ByteLevel and Sequence");
        }
    }

    private void AddTemplate(JsonReader part)
    {
        part.AllowOnly("type", "single", "pair", "special_tokens");
        if (_templateSeen)
        {
            throw part.Unsupported("there may be one template");
        }

        _templateSeen = true;
        bool textSeen = false;
        foreach (JsonReader step in part["single"].Items)
        {
            step.AllowOnly("SpecialToken", "Sequence");
            if (step.Find("SpecialToken") is { } special)
            {
                JsonReader ids = part["special_tokens"][special["id"].Text]["ids"];
                (textSeen ? _suffix : _prefix).AddRange(ids.Items.Select(id => id.Integer));
            }
            else if (textSeen)
            {
                throw step.Unsupported("the text may come once in a template");
            }
            else
            {
                textSeen = true;
            }
        }

        if (!textSeen)
        {
            throw part["single"].Unsupported("the text must come once in a template");
        }
    }
}
