using Microsoft.ML.Sorsa.Models.Families;
using static Microsoft.ML.Sorsa.Tests.Models.ConfigText;

namespace Microsoft.ML.Sorsa.Tests.Models.Families;

[TestClass]
[TestCategory("Models")]
public sealed class FamilyCatalogTests
{
    [TestMethod]
    [DataRow("gpt2")]
    [DataRow("Llama")]
    public void AFamilyThatIsUnknownGivesTheList(string modelType)
    {
        string message = Assert.ThrowsExactly<NotSupportedException>(
            () => Parse(With("model_type", $"\"{modelType}\"", Minimal))).Message;

        Assert.AreEqual(
            $"'config.json' describes a model of type '{modelType}'; the types that are implemented are llama and mistral.", message);
    }

    [TestMethod]
    public void EveryFamilyReadsTheKeysThatAllShare()
    {
        foreach (string modelType in FamilyCatalog.ModelTypes)
        {
            string json = With("tie_word_embeddings", "true", With("model_type", $"\"{modelType}\"", Minimal));

            Assert.AreEqual((96, 48, 3, true), Parse(json).Spec is var spec
                ? (spec.VocabularySize, spec.HiddenSize, spec.LayerCount, spec.TieWordEmbeddings) : default, modelType);
        }
    }
}
