using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tests.Chat;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

/// <summary>
/// A model out of a zip is asked as the one that was saved, in a chat too: what nobody chose, nobody has chosen afterwards.
/// </summary>
[TestClass]
[TestCategory("Persistence")]
[TestCategory("Chat")]
public sealed class TemplateOfZipTests
{
    private const string Question = "Tom has 3 apples. He buys 5 more. How many?";

    private static readonly MLContext s_ml = new();

    private static readonly int?[] s_lengths = [null, 120];

    private static readonly bool[] s_both = [true, false];

    private static readonly PromptTemplate?[] s_templates =
    [
        null, PromptTemplate.Alpaca, PromptTemplate.Chat, PromptTemplate.Format("Q: {prompt}\nA:"),
        PromptTemplate.Chat with { SplitSpecialTokens = false }, PromptTemplate.Alpaca with { SplitSpecialTokens = true },
    ];

    public static IEnumerable<object?[]> Templates =>
        from template in s_templates
        from maxPromptLength in s_lengths
        from hasChatTemplate in s_both
        where hasChatTemplate || template is null || !template.RendersSpecialTokens
        select new object?[] { template, maxPromptLength, hasChatTemplate };

    [TestMethod]
    [DynamicData(nameof(Templates))]
    public async Task ItIsAskedAsTheOneThatWasSaved(PromptTemplate? template, int? maxPromptLength, bool hasChatTemplate)
    {
        using var folder = new TemporaryFolder();
        string model = hasChatTemplate
            ? TemplateFolder.Create(Directory.CreateDirectory(folder.File("model")).FullName, "chatml")
            : TestData.TinyLlama;
        using SorsaTransformer saved = s_ml.Sorsa().LoadModel(
            model, promptTemplate: template, generation: new GenerationOptions { MaxNewTokens = 8 }, maxPromptLength: maxPromptLength);
        saved.Save(folder.File("one.zip"));
        using SorsaTransformer loaded = s_ml.Sorsa().LoadZip(folder.File("one.zip"));
        loaded.Save(folder.File("two.zip"));
        using SorsaTransformer again = s_ml.Sorsa().LoadZip(folder.File("two.zip"));

        (long? Tokens, string Text) asked = await Asked(saved);
        string card = Template(saved, folder.File("saved"));
        foreach ((int number, SorsaTransformer other) in new[] { loaded, again }.Index())
        {
            Assert.AreEqual(saved.Generate(Question), other.Generate(Question));
            Assert.AreEqual(asked, await Asked(other));
            Assert.AreEqual(card, Template(other, folder.File($"saved-{number}")));
        }

        if (template is null && hasChatTemplate)
        {
            using SorsaTransformer chosen = s_ml.Sorsa().LoadModel(model, promptTemplate: PromptTemplate.Alpaca);
            Assert.AreNotEqual((await Asked(chosen)).Tokens, asked.Tokens);
        }
    }

    /// <summary>How many tokens a question has in a chat, and its answer.</summary>
    private static async Task<(long? Tokens, string Text)> Asked(SorsaTransformer model)
    {
        using IChatClient client = model.AsChatClient();
        ChatResponse response = await client.GetResponseAsync(Question);
        return (response.Usage!.InputTokenCount, response.Text);
    }

    /// <summary>What the model card says of the template.</summary>
    private static string Template(SorsaTransformer model, string folder)
    {
        model.SaveHuggingFace(folder);
        string card = File.ReadAllText(Path.Combine(folder, "README.md"));
        int start = card.IndexOf("template", StringComparison.Ordinal);
        return card[start..(card.IndexOf("\n##", start, StringComparison.Ordinal) is > 0 and var end ? end : card.Length)];
    }
}
