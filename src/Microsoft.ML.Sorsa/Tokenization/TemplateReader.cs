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

    public static TemplateReader Read(JsonReader? json)
    {
        TemplateReader reader = new();
        if (json is { } postProcessor)
        {
            reader.Add(postProcessor);
        }

        return reader;
    }

    private void Add(JsonReader json)
    {
        switch (json.Type)
        {
            case "Sequence":
                json.AllowOnly("type", "processors");
                foreach (JsonReader item in json["processors"].Items)
                {
                    Add(item);
                }

                break;

            case "ByteLevel":
                // It moves offsets only, which are not asked for here.
                json.AllowOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
                break;

            case "TemplateProcessing":
                AddTemplate(json);
                break;

            default:
                throw json["type"].Unsupported("supported post-processors are TemplateProcessing, ByteLevel and Sequence");
        }
    }

    private void AddTemplate(JsonReader json)
    {
        json.AllowOnly("type", "single", "pair", "special_tokens");
        if (_templateSeen)
        {
            throw json.Unsupported("there may be one template");
        }

        _templateSeen = true;
        bool textSeen = false;
        foreach (JsonReader step in json["single"].Items)
        {
            step.AllowOnly("SpecialToken", "Sequence");
            if (step.Find("SpecialToken") is { } special)
            {
                JsonReader ids = json["special_tokens"][special["id"].Text]["ids"];
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
            throw json["single"].Unsupported("the text must come once in a template");
        }
    }
}
