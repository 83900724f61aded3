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

    /// <param name="model">Not owned. Adapters with dropout must have been put into evaluation mode.</param>
    /// <param name="prompts">From a prompt to its tokens, with the tokenizer of this model.</param>
    /// <param name="options">How to generate.</param>
    /// <exception cref="ArgumentException">Options that do not fit together.</exception>
    public TextGenerator(ILanguageModel model, PromptEncoder prompts, GenerationOptions options)
    {
        _prompts = prompts;
        _options = options;

        // Chat models may end an answer with a token that only their tokenizer, or only generation_config.json, calls its end.
        ITextTokenizer tokenizer = prompts.Tokenizer;
        IEnumerable<int> endTokens = tokenizer.EosTokenId is int end ? model.EndTokenIds.Append(end) : model.EndTokenIds;
        _generator = new TokenGenerator(model, options, endTokens.Concat(GenerationConfig.EndTokens(tokenizer.Files)));
    }

    /// <summary>The new texts, without the prompts, in the order of the prompts.</summary>
    /// <param name="prompts">The rows' prompts, without their template.</param>
    /// <param name="cancellationToken">Checked before every token.</param>
    /// <exception cref="ArgumentException">
    /// A prompt that leaves no room in the model's positions, named by its index; nothing was generated then.
    /// </exception>
    public string[] Generate(IReadOnlyList<string> prompts, CancellationToken cancellationToken = default)
    {
        GenerationRow[] rows = [.. prompts.Select((prompt, index) => CreateRow(prompt, index))];
        _generator.Complete(rows, cancellationToken);
        return [.. rows.Select(row => row.Text!.Take())];
    }

    /// <summary>The new text in pieces, as soon as they are certain; all together they are what <see cref="Generate"/> gives.</summary>
    /// <inheritdoc cref="Generate"/>
    public IEnumerable<string> Stream(string prompt, CancellationToken cancellationToken = default)
    {
        // A bad prompt is refused here and not at the first piece; each enumeration then starts a row of its own.
        CreateRow(prompt, 0);
        return Pieces();

        IEnumerable<string> Pieces()
        {
            GenerationRow row = CreateRow(prompt, 0);
            foreach (GenerationRow[] _ in _generator.Steps([row], cancellationToken))
            {
                if (row.Text!.Take() is { Length: > 0 } piece)
                {
                    yield return piece;
                }
            }
        }
    }

    private GenerationRow CreateRow(string prompt, int index)
    {
        int[] ids = _prompts.Encode(prompt);
        if (ids.Length == 0 && _prompts.Tokenizer.BosTokenId is int bos)
        {
            // A text out of nothing starts where all texts start, as in transformers.
            ids = [bos];
        }

        ITextStream stream = _prompts.Tokenizer.CreateStream();

        // Some models have more rows than tokens, so that their sizes are round: such an id has no text.
        string Push(int id) => id >= _prompts.Tokenizer.VocabularySize ? "" : stream.Push(id);
        return _generator.CreateRow(ids, index, new GeneratedText(Push, stream.Flush, _options.StopStrings));
    }
}
