using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>Continues texts with a model and its tokenizer. Special tokens of the new text are left out.</summary>
internal sealed class TextGenerator
{
    private readonly PromptEncoder _prompts;
    private readonly GenerationOptions _options;
    private readonly TokenGenerator _generator;
    private readonly Action<int>? _cut;

    /// <param name="model">Not owned. Adapters with dropout must have been put into evaluation mode.</param>
    /// <param name="prompts">From a prompt to its tokens, with the tokenizer of this model.</param>
    /// <param name="options">How to generate.</param>
    /// <param name="cut">Told of every prompt that is cut, and how many tokens it had.</param>
    /// <exception cref="ArgumentException">Options that do not fit together.</exception>
    public TextGenerator(ILanguageModel model, PromptEncoder prompts, GenerationOptions options, Action<int>? cut = null)
    {
        _cut = cut;
        _prompts = prompts;
        _options = options;

        // Chat models may end an answer with a token that only their template, their tokenizer or generation_config.json calls its end.
        ITextTokenizer tokenizer = prompts.Tokenizer;
        int?[] named = [tokenizer.EosTokenId, prompts.EndOfTurnId];
        _generator = new TokenGenerator(model, options,
        [
            .. model.EndTokenIds, .. named.OfType<int>(), .. GenerationConfig.EndTokens(tokenizer.Files), .. EndOfTurnTokens.In(tokenizer),
        ]);
    }

    private TextGenerator(TextGenerator other, GenerationOptions options)
    {
        (_prompts, _cut, _options, _generator) = (other._prompts, other._cut, options, other._generator.With(options));
    }

    /// <summary>How it generates.</summary>
    public GenerationOptions Options => _options;

    /// <summary>The same model and tokenizer with other options.</summary>
    /// <exception cref="ArgumentException">Options that do not fit together.</exception>
    public TextGenerator With(GenerationOptions options) => new(this, options);

    /// <summary>The new texts, without the prompts, in the order of the prompts.</summary>
    /// <param name="prompts">The rows' prompts, without their template.</param>
    /// <param name="cancellationToken">Checked before every token.</param>
    /// <exception cref="ArgumentException">
    /// A prompt that leaves no room in the model's positions, named by its index; nothing was generated then.
    /// </exception>
    public string[] Generate(IReadOnlyList<string> prompts, CancellationToken cancellationToken = default) =>
        Complete([.. prompts.Select((prompt, index) => CreateRow(prompt, prompts.Count == 1 ? null : index))], cancellationToken);

    /// <summary>The same, where a prompt that is refused does not keep the others from their texts; its own is empty.</summary>
    /// <param name="prompts">The rows' prompts, without their template.</param>
    /// <param name="refused">Told the index of such a prompt, and what is wrong with it, as the end of a sentence about it.</param>
    public string[] GenerateEach(IReadOnlyList<string> prompts, Action<int, string> refused)
    {
        var rows = new GenerationRow?[prompts.Count];
        for (int index = 0; index < rows.Length; index++)
        {
            rows[index] = TryCreateRow(prompts[index], out string? problem);
            if (problem is not null)
            {
                refused(index, problem);
            }
        }

        return Complete(rows, CancellationToken.None);
    }

    /// <summary>A row that begins with a prompt; null where that is refused.</summary>
    /// <param name="prompt">Without its template.</param>
    /// <param name="problem">What is wrong with it, as the end of a sentence about it; null: nothing.</param>
    public GenerationRow? TryCreateRow(string prompt, out string? problem)
    {
        try
        {
            int[] ids = Encode(prompt);
            problem = _generator.Refuse(ids);
            return problem is null ? CreateRow(ids) : null;
        }
        catch (TokenWithoutRowException error)
        {
            problem = $"cannot be read. {error.Message}";
            return null;
        }
    }

    /// <summary>The new text in pieces, as soon as they are certain; all together they are what <see cref="Generate"/> gives.</summary>
    /// <inheritdoc cref="Generate"/>
    public IEnumerable<string> Stream(string prompt, CancellationToken cancellationToken = default)
    {
        // A bad prompt is refused here and not at the first piece; each enumeration then starts a row of its own.
        CreateRow(prompt, null);
        return Pieces();

        IEnumerable<string> Pieces()
        {
            GenerationRow row = CreateRow(prompt, null);
            foreach (GenerationRow[] _ in _generator.Steps([row], cancellationToken))
            {
                if (row.Text!.Take() is { Length: > 0 } piece)
                {
                    yield return piece;
                }
            }
        }
    }

    private string[] Complete(GenerationRow?[] rows, CancellationToken cancellationToken)
    {
        _generator.Complete([.. rows.OfType<GenerationRow>()], cancellationToken);
        return [.. rows.Select(row => row?.Text!.Take() ?? "")];
    }

    private int[] Encode(string prompt)
    {
        int[] ids = _prompts.Encode(prompt, out int length);
        if (length > ids.Length)
        {
            _cut?.Invoke(length);
        }

        // A text out of nothing starts where all texts start, as in transformers.
        return ids.Length == 0 && _prompts.Tokenizer.BosTokenId is int bos ? [bos] : ids;
    }

    private GenerationRow CreateRow(string prompt, int? index) => CreateRow(Encode(prompt), index);

    /// <summary>A row whose new tokens become text.</summary>
    /// <param name="ids">Its prompt.</param>
    /// <param name="index">Its place among the prompts, for errors; null: it comes alone.</param>
    /// <param name="seed">Null: the options' own.</param>
    /// <param name="shown">Special tokens that are not left out of the text; null: none.</param>
    /// <exception cref="ArgumentException">The prompt leaves no room in the model's positions.</exception>
    public GenerationRow CreateRow(int[] ids, int? index = null, long? seed = null, IReadOnlyList<string>? shown = null)
    {
        ITextTokenizer tokenizer = _prompts.Tokenizer;
        ITextStream stream = tokenizer.CreateStream();
        return _generator.CreateRow(ids, index, new GeneratedText(Push, stream.Flush, _options.StopStrings, Hidden), seed);

        // Some models have more rows than tokens, so that their sizes are round: such an id has no text.
        string Push(int id) => id >= tokenizer.VocabularySize ? "" : IsShown(id) ? tokenizer.SpecialText(id)! : stream.Push(id);

        string? Hidden(int id) => IsShown(id) ? null : tokenizer.SpecialText(id);

        bool IsShown(int id) => shown is { Count: > 0 } && tokenizer.SpecialText(id) is { } text && shown.Contains(text);
    }
}
