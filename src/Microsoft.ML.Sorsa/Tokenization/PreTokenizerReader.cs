using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Reads the pre-tokenizer of tokenizer.json: the stages that cut a text into words.</summary>
internal sealed class PreTokenizerReader
{
    /// <summary>Names of stages that are no regular expression: each digit alone, runs of digits, in front of every mark.</summary>
    public const string EachDigit = "Digits, one by one", DigitRuns = "Digits", EveryMark = "Metaspace";

    private readonly List<Func<IPieceSink, IPieceSink>> _stages = [];
    private readonly List<string> _names = [];
    private readonly List<TextRewrite> _rewrites = [];

    private PreTokenizerReader()
    {
    }

    /// <summary>What happens to the text before the first cut (Metaspace's marks).</summary>
    public IReadOnlyList<TextRewrite> Rewrites => _rewrites;

    /// <summary>The stages by name: their pattern, where they have one.</summary>
    public IReadOnlyList<string> Stages => _names;

    /// <summary>Whether words are bytes to the model.</summary>
    public bool ByteLevel { get; private set; }

    public static PreTokenizerReader Read(JsonReader? json)
    {
        PreTokenizerReader reader = new();
        if (json is { } preTokenizer)
        {
            reader.Add(preTokenizer);
        }

        return reader;
    }

    /// <summary>The stages, one behind the other, with the model at the end.</summary>
    public IPieceSink Chain(BpeModel model)
    {
        IPieceSink chain = !ByteLevel && model.AllowsCutAt(MarkSplitter.Space)
            ? new MarkSplitter(MarkSplitter.Space, everyMark: false, model)
            : model;
        for (int i = _stages.Count - 1; i >= 0; i--)
        {
            chain = _stages[i](chain);
        }

        return chain;
    }

    private void Add(JsonReader json)
    {
        if (ByteLevel)
        {
            throw json.Unsupported("ByteLevel must be the last pre-tokenizer");
        }

        switch (json.Type)
        {
            case "Sequence":
                json.AllowOnly("type", "pretokenizers");
                foreach (JsonReader item in json["pretokenizers"].Items)
                {
                    Add(item);
                }

                break;

            case "Digits":
                json.AllowOnly("type", "individual_digits");
                bool individual = json.Find("individual_digits")?.Flag ?? false;
                Add(individual ? EachDigit : DigitRuns, next => new DigitSplitter(individual, next));
                break;

            case "Split":
                AddSplit(json);
                break;

            case "ByteLevel":
                AddByteLevel(json);
                break;

            case "Metaspace":
                AddMetaspace(json);
                break;

            default:
                throw json["type"].Unsupported("supported pre-tokenizers are Digits, Split, ByteLevel, Metaspace and Sequence");
        }
    }

    private void Add(string name, Func<IPieceSink, IPieceSink> stage)
    {
        _names.Add(name);
        _stages.Add(stage);
    }

    private void AddSplit(JsonReader json)
    {
        json.AllowOnly("type", "pattern", "behavior", "invert");
        json.Refuse("invert", meaningless: false);
        if (json["behavior"].Text != "Isolated")
        {
            throw json["behavior"].Unsupported("the one behavior that is supported is Isolated");
        }

        JsonReader pattern = json["pattern"];
        pattern.AllowOnly("Regex");
        SplitPattern compiled;
        try
        {
            compiled = new SplitPattern(pattern["Regex"].Text, pattern["Regex"].Place);
        }
        catch (ArgumentException error)
        {
            throw pattern["Regex"].Unsupported(error.Message);
        }

        Add(pattern["Regex"].Text, next => new PatternSplitter(compiled, next));
    }

    private void AddByteLevel(JsonReader json)
    {
        // trim_offsets moves offsets, which are not asked for here.
        json.AllowOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
        if (json.Find("add_prefix_space")?.Flag ?? true)
        {
            throw json.Unsupported("add_prefix_space must be false");
        }

        if (json.Find("use_regex")?.Flag ?? true)
        {
            SplitPattern pattern = new(SplitPattern.Gpt2, json.Place);
            Add(SplitPattern.Gpt2, next => new PatternSplitter(pattern, next));
        }

        ByteLevel = true;
    }

    private void AddMetaspace(JsonReader json)
    {
        json.AllowOnly("type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep");
        if (_stages.Count > 0 || _rewrites.Count > 0)
        {
            throw json.Unsupported("Metaspace must be the first pre-tokenizer");
        }

        string mark = json["replacement"].Text;
        if (mark.Length != 1)
        {
            throw json["replacement"].Unsupported("it must be one UTF-16 unit");
        }

        bool never = json.Find("add_prefix_space") is { Flag: false };
        MetaspacePrefix prefix = json.Find("prepend_scheme") is not { } scheme
            ? never ? MetaspacePrefix.Never : MetaspacePrefix.Always
            : scheme.Text switch
            {
                "always" when !never => MetaspacePrefix.Always,
                "first" when !never => MetaspacePrefix.First,
                "never" => MetaspacePrefix.Never,
                _ => throw scheme.Unsupported("it must be always, first or never, and never where add_prefix_space is false"),
            };
        _rewrites.Add(new MetaspaceRewrite(mark[0], prefix));
        if (json.Find("split")?.Flag ?? true)
        {
            Add(EveryMark, next => new MarkSplitter(mark[0], everyMark: true, next));
        }
    }
}
