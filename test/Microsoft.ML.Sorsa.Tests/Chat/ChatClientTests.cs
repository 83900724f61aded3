using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>The client alone, over the bundled model.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ChatClientTests
{
    private const string Question = "Tom has 3 apples and buys 4 more. How many apples does he have?";

    private static readonly MLContext s_ml = new(seed: 1);

    [TestMethod]
    public async Task AnAnswerIsWhatGenerateGives()
    {
        using SorsaTransformer model = Load();
        using IChatClient client = model.AsChatClient();

        ChatResponse response = await client.GetResponseAsync(Question);

        Assert.AreEqual(model.Generate(Question), response.Text);
        Assert.IsGreaterThan(10, response.Text.Length);
    }

    internal static SorsaTransformer Load(PromptTemplate? template = null, GenerationOptions? generation = null) =>
        s_ml.Sorsa().LoadModel(
            TestData.TinyLlama, promptTemplate: template, generation: generation ?? new GenerationOptions { MaxNewTokens = 40 });
}
