using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Data.Chat;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tests.Cases;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>Models that say what they are told to, behind a real tokenizer.</summary>
internal static class ScriptedChat
{
    /// <summary>Answers one request with the first text, the next with the second, and so on.</summary>
    public static SharedModel Of(string tokenizerFolder, PromptTemplate template, params string[] answers)
    {
        TextTokenizer tokenizer = TextTokenizer.Load(tokenizerFolder);
        int[] script = [.. answers.SelectMany(answer =>
            tokenizer.Encode(answer, addSpecialTokens: false).Append(tokenizer.EosTokenId!.Value))];
        return Of(new ScriptedModel(tokenizer.VocabularySize, script), tokenizer, template);
    }

    /// <summary>The same over the bundled model's tokenizer with one of the known chat templates.</summary>
    public static SharedModel OfTemplate(string name, params string[] answers) =>
        OfTemplate(TextTokenizer.Load(TestData.TinyLlama), name, answers);

    /// <summary>The same over any tokenizer.</summary>
    public static SharedModel OfTemplate(TextTokenizer tokenizer, string name, params string[] answers)
    {
        int[] script = [.. answers.SelectMany(answer =>
            tokenizer.Encode(answer, addSpecialTokens: false).Append(tokenizer.EosTokenId!.Value))];
        return Of(new ScriptedModel(tokenizer.VocabularySize, script), new PromptEncoder(
            tokenizer, PromptTemplate.Chat, chat: ChatTemplate.Known.Single(template => template.Name == name)));
    }

    /// <summary>Any model behind a tokenizer, without adapters.</summary>
    public static SharedModel Of(
        ILanguageModel model, TextTokenizer tokenizer, PromptTemplate template, GenerationOptions? generation = null) =>
        Of(model, new PromptEncoder(tokenizer, template), generation);

    private static SharedModel Of(ILanguageModel model, PromptEncoder prompts, GenerationOptions? generation = null) => new(
        model, prompts, new TextGenerator(model, prompts, generation ?? new GenerationOptions()), () => ([], null), (_, act) => act());
}
