using Google.Protobuf;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Reads tokenizer.model as SentencePiece writes it (sentencepiece_model.proto). Microsoft.ML.Tokenizers' SentencePieceTokenizer reads it
/// too, but merges in another order (see <see cref="BpeModel"/>) and does not show scores and piece types; only its protobuf library is
/// used.
/// </summary>
internal static class SentencePieceReader
{
    private const string File = TokenizerFiles.TokenizerModel;

    private enum PieceType
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    /// <summary>A ModelProto begins with its first piece: field 1, length-delimited. A tiktoken file is text.</summary>
    public static bool Recognises(ReadOnlySpan<byte> file) => file is [0x0A, ..];

    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="NotSupportedException">It is not byte-pair encoding, or normalises in a way that is not supported.</exception>
    public static TokenizerPipeline Read(byte[] file, TokenizerSettings settings)
    {
        Model model = ReadModel(file);
        Refuse(model);
        Dictionary<string, int> ids = new(StringComparer.Ordinal);
        for (int id = 0; id < model.Pieces.Count; id++)
        {
            if (!ids.TryAdd(model.Pieces[id].Text, id))
            {
                throw new InvalidDataException($"{File}: the piece '{model.Pieces[id].Text}' comes twice.");
            }
        }

        Vocabulary vocabulary = new(ids, File);
        MergeTable merges = MergeTable.FromRanks(vocabulary, Ranks(model.Pieces));
        UnknownToken unknown = new(IdOf(model, PieceType.Unknown), Fuse: true);
        BpeModel bpe = new(
            vocabulary, new CharacterAlphabet(vocabulary, unknown, model.ByteFallback, File), merges, wholeWordsFirst: false);
        ReplaceRewrite mark = new(" ", MarkSplitter.Space.ToString());
        bool prefix = model.DummyPrefix && (settings.AddPrefixSpace ?? true);
        return new TokenizerPipeline
        {
            File = File,
            Vocabulary = vocabulary,
            AddedTokens = [.. ReadAddedTokens(model)],
            // SentencePiece marks the beginning of each stretch between special tokens, whatever it begins with.
            Rewrites = prefix ? [new PrependRewrite(mark.New), mark] : [mark],
            Model = bpe,
            Scores = [.. model.Pieces.Select(piece => piece.Score)],
            Encoder = bpe.AllowsCutAt(MarkSplitter.Space) ? new MarkSplitter(MarkSplitter.Space, everyMark: false, bpe) : bpe,
            Decoder = new ByteFallbackDecoder([new ReplaceRewrite(mark.New, mark.Old)], ' ', prefix ? 1 : 0),
            AddsBos = true,
            ImpliedBos = PieceAt(model, model.BosId),
            ImpliedEos = PieceAt(model, model.EosId),
        };
    }

    /// <summary>
    /// Pieces merge by score, the highest first; equal scores have equal ranks, so that among them the leftmost is first.
    /// </summary>
    private static Dictionary<int, int> Ranks(List<Piece> pieces)
    {
        Dictionary<float, int> rankOfScore = pieces.Where(piece => piece.Type == PieceType.Normal).Select(piece => piece.Score).Distinct()
            .OrderDescending().Index().ToDictionary(item => item.Item, item => item.Index);
        return pieces.Index().Where(item => item.Item.Type == PieceType.Normal)
            .ToDictionary(item => item.Index, item => rankOfScore[item.Item.Score]);
    }

    /// <summary>Hugging Face's tokenizers find the control pieces in the text too.</summary>
    private static IEnumerable<AddedToken> ReadAddedTokens(Model model) => model.Pieces.Index()
        .Where(item => item.Item.Type is PieceType.Control or PieceType.Unknown)
        .Select(item => new AddedToken(item.Index, item.Item.Text, Special: true));

    private static int? IdOf(Model model, PieceType type) =>
        model.Pieces.FindIndex(piece => piece.Type == type) is >= 0 and int id ? id : null;

    private static string? PieceAt(Model model, int id) => id >= 0 && id < model.Pieces.Count ? model.Pieces[id].Text : null;

    private static void Refuse(Model model)
    {
        if (model.Pieces.Count == 0)
        {
            throw new InvalidDataException($"{File} holds no pieces.");
        }

        string? fault =
            model.ModelType != 2 ? $"model_type {model.ModelType} (2, BPE, is supported)"
            : model.HasCharacterMap ? "a precompiled_charsmap (the normalizer 'identity' is supported)"
            : model.RemovesSpaces ? "remove_extra_whitespaces"
            : !model.EscapesSpaces ? "escape_whitespaces = false"
            : model.SpaceIsSuffix ? "treat_whitespace_as_suffix"
            : model.Pieces.Find(piece => piece.Type is PieceType.UserDefined or PieceType.Unused) is { } odd
                ? $"the piece '{odd.Text}' of the type {odd.Type}"
            : null;
        if (fault is not null)
        {
            throw new NotSupportedException($"{File} has {fault}, which is not supported; convert it to {TokenizerFiles.TokenizerJson}.");
        }
    }

    private static Model ReadModel(byte[] file)
    {
        Model model = new();
        try
        {
            ReadFields(file, (field, input) =>
            {
                switch (field)
                {
                    case 1: model.Pieces.Add(ReadPiece(input.ReadBytes().ToByteArray())); break;
                    case 2: ReadTrainer(model, input.ReadBytes().ToByteArray()); break;
                    case 3: ReadNormalizer(model, input.ReadBytes().ToByteArray()); break;
                    case 5: ReadDenormalizer(model, input.ReadBytes().ToByteArray()); break;
                    default: return false;
                }

                return true;
            });
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new InvalidDataException($"{File} is not a whole SentencePiece model: {error.Message}", error);
        }

        return model;
    }

    private static Piece ReadPiece(byte[] message)
    {
        string text = "";
        float score = 0;
        PieceType type = PieceType.Normal;
        ReadFields(message, (field, input) =>
        {
            switch (field)
            {
                case 1: text = input.ReadString(); break;
                case 2: score = input.ReadFloat(); break;
                case 3: type = (PieceType)input.ReadEnum(); break;
                default: return false;
            }

            return true;
        });
        return new Piece(text, score, type);
    }

    private static void ReadTrainer(Model model, byte[] message) => ReadFields(message, (field, input) =>
    {
        switch (field)
        {
            case 3: model.ModelType = input.ReadEnum(); break;
            case 24: model.SpaceIsSuffix = input.ReadBool(); break;
            case 35: model.ByteFallback = input.ReadBool(); break;
            case 41: model.BosId = input.ReadInt32(); break;
            case 42: model.EosId = input.ReadInt32(); break;
            default: return false;
        }

        return true;
    });

    private static void ReadNormalizer(Model model, byte[] message) => ReadFields(message, (field, input) =>
    {
        switch (field)
        {
            case 2: model.HasCharacterMap |= input.ReadBytes().Length > 0; break;
            case 3: model.DummyPrefix = input.ReadBool(); break;
            case 4: model.RemovesSpaces = input.ReadBool(); break;
            case 5: model.EscapesSpaces = input.ReadBool(); break;
            default: return false;
        }

        return true;
    });

    private static void ReadDenormalizer(Model model, byte[] message) => ReadFields(message, (field, input) =>
    {
        if (field != 2)
        {
            return false;
        }

        model.HasCharacterMap |= input.ReadBytes().Length > 0;
        return true;
    });

    private static void ReadFields(byte[] message, Func<int, CodedInputStream, bool> take)
    {
        using CodedInputStream input = new(message);
        for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            if (!take(WireFormat.GetTagFieldNumber(tag), input))
            {
                input.SkipLastField();
            }
        }
    }

    private sealed record Piece(string Text, float Score, PieceType Type);

    /// <summary>The fields that matter, with the defaults of the format.</summary>
    private sealed class Model
    {
        public List<Piece> Pieces { get; } = [];

        public int ModelType { get; set; } = 1;

        public bool ByteFallback { get; set; }

        public bool SpaceIsSuffix { get; set; }

        public int BosId { get; set; } = 1;

        public int EosId { get; set; } = 2;

        public bool HasCharacterMap { get; set; }

        public bool DummyPrefix { get; set; } = true;

        public bool RemovesSpaces { get; set; } = true;

        public bool EscapesSpaces { get; set; } = true;
    }
}
