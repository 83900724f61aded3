using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Reads the pre-tokenizer of tokenizer.json: the stages that cut a text into words.</summary>
internal sealed class PreTokenizerReader
{
    private readonly List<Func<IPieceSink, IPieceSink>> _stages = [];
    private readonly List<TextRewrite> _rewrites = [];

    private PreTokenizerReader()
    {
    }

    /// <summary>What happens to the text before the first cut (Metaspace's marks).</summary>
    public IReadOnlyList<TextRewrite> Rewrites => _rewrites;

    /// <summary>Whether words are bytes to the model.</summary>
    public bool ByteLevel { get; private set; }

    public static PreTokenizerReader Read(JsonReader? part)
    {
        PreTokenizerReader reader = new();
        if (part is { } preTokenizer)
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

    private void Add(JsonReader part)
    {
        if (ByteLevel)
        {
            throw part.Unsupported("ByteLevel must be the last pre-tokenizer");
        }

        switch (part.Type)
        {
            case "Sequence":
                part.AllowOnly("type", "pretokenizers");
                foreach (JsonReader item in part["pretokenizers"].Items)
                {
                    Add(item);
                }

                break;

            case "Digits":
                part.AllowOnly("type", "individual_digits");
                bool individual = part.Find("individual_digits")?.Flag ?? false;
                _stages.Add(next => new DigitSplitter(individual, next));
                break;

            case "Split":
                AddSplit(part);
                break;

            case "ByteLevel":
                AddByteLevel(part);
                break;

            case "Metaspace":
                AddMetaspace(part);
                break;

            default:
                throw part["type"].Unsupported("supported pre-tokenizers are Digits, Split, ByteLevel, Metaspace and Sequence");
        }
    }

    private void AddSplit(JsonReader part)
    {
        part.AllowOnly("type", "pattern", "behavior", "invert");
        part.Refuse("invert", meaningless: false);
        if (part["behavior"].Text != "Isolated")
        {
            throw part["behavior"].Unsupported("the one behavior that is supported is Isolated");
        }

        JsonReader pattern = part["pattern"];
        pattern.AllowOnly("Regex");
        Regex regex;
        try
        {
            regex = PatternSplitter.Compile(pattern["Regex"].Text);
        }
        catch (ArgumentException error)
        {
            throw pattern["Regex"].Unsupported(error.Message);
        }

        _stages.Add(next => new PatternSplitter(regex, next));
    }

    private void AddByteLevel(JsonReader part)
    {
        // trim_offsets moves offsets, which are not asked for here.
        part.AllowOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
        if (part.Find("add_prefix_space")?.Flag ?? true)
        {
            throw part.Unsupported("add_prefix_space must be false");
        }

        if (part.Find("use_regex")?.Flag ?? true)
        {
            Regex regex = PatternSplitter.Compile(PatternSplitter.Gpt2);
            _stages.Add(next => new PatternSplitter(regex, next));
        }

        ByteLevel = true;
    }

    private void AddMetaspace(JsonReader part)
    {
        part.AllowOnly("type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep");
        if (_stages.Count > 0 || _rewrites.Count > 0)
        {
            throw part.Unsupported("Metaspace must be the first pre-tokenizer");
        }

        string mark = part["replacement"].Text;
        if (mark.Length != 1)
        {
            throw part["replacement"].Unsupported("it must be one UTF-16 unit");
        }

        bool never = part.Find("add_prefix_space") is { Flag: false };
        MetaspacePrefix prefix = part.Find("prepend_scheme") is not { } scheme
            ? never ? MetaspacePrefix.Never : MetaspacePrefix.Always
            : scheme.Text switch
            {
                "always" when !never => MetaspacePrefix.Always,
                "first" when !never => MetaspacePrefix.First,
                "never" => MetaspacePrefix.Never,
                _ => throw scheme.Unsupported("it must be always, first or never, and never where add_prefix_space is false"),
            };
        _rewrites.Add(new MetaspaceRewrite(mark[0], prefix));
        if (part.Find("split")?.Flag ?? true)
        {
            _stages.Add(next => new MarkSplitter(mark[0], everyMark: true, next));
        }
    }
}
